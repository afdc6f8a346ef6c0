//! Why a packet was not carried: one closed list, whose words are the metric label and the log field.

/// Names the cause of a dropped packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// A header contradicts itself or the bytes that are there.
    Malformed,
    /// The source address is not one of the link's own.
    SourceMismatch,
    /// Nobody here answers for the destination.
    NoRoute,
    /// No rule allows it, or one denies it.
    PolicyDenied,
    /// Multicast, broadcast, link-local or loopback: never routed.
    NotForwardable,
    /// A later fragment whose first fragment was not seen, or not allowed.
    FragmentWithoutFirst,
    /// An ICMP error that belongs to no flow that is allowed.
    UnrelatedError,
    /// The flow table is full of flows that are in use.
    FlowTableFull,
    /// The link that it should leave by is not there.
    LinkDown,
    /// The queue is over its bytes and this flow was the longest.
    QueueFull,
    /// The queue asks this flow to slow down.
    QueueDelay,
    /// Too many packets wait for their missing parts.
    ReassemblyFull,
    /// Parts of a packet did not arrive in time.
    ReassemblyIncomplete,
    /// The channel of a datagram is not one of ours.
    UnknownChannel,
    /// A flag of a datagram is not one of ours.
    UnknownFlag,
    /// Larger than the path can carry, even in parts.
    TooBig,
    /// Not sealed, between two devices of a network in which everything is.
    NotSealed,
    /// Its seal is not intact, or of keys that are not known here.
    SealBroken,
    /// A sealed packet that came before.
    SealReplayed,
    /// It waited for keys for too long, or in vain.
    SealWaited,
}

impl DropReason {
    /// Lists every reason, in the order of [`Drops`].
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::SourceMismatch,
        Self::NoRoute,
        Self::PolicyDenied,
        Self::NotForwardable,
        Self::FragmentWithoutFirst,
        Self::UnrelatedError,
        Self::FlowTableFull,
        Self::LinkDown,
        Self::QueueFull,
        Self::QueueDelay,
        Self::ReassemblyFull,
        Self::ReassemblyIncomplete,
        Self::UnknownChannel,
        Self::UnknownFlag,
        Self::TooBig,
        Self::NotSealed,
        Self::SealBroken,
        Self::SealReplayed,
        Self::SealWaited,
    ];

    /// Returns the word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::SourceMismatch => "source_mismatch",
            Self::NoRoute => "no_route",
            Self::PolicyDenied => "policy_denied",
            Self::NotForwardable => "not_forwardable",
            Self::FragmentWithoutFirst => "fragment_without_first",
            Self::UnrelatedError => "unrelated_error",
            Self::FlowTableFull => "flow_table_full",
            Self::LinkDown => "link_down",
            Self::QueueFull => "queue_full",
            Self::QueueDelay => "queue_delay",
            Self::ReassemblyFull => "reassembly_full",
            Self::ReassemblyIncomplete => "reassembly_incomplete",
            Self::UnknownChannel => "unknown_channel",
            Self::UnknownFlag => "unknown_flag",
            Self::TooBig => "too_big",
            Self::NotSealed => "not_sealed",
            Self::SealBroken => "seal_broken",
            Self::SealReplayed => "seal_replayed",
            Self::SealWaited => "seal_waited",
        }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts dropped packets by their reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    counts: [u64; DropReason::ALL.len()],
}

impl Drops {
    /// Counts one packet.
    #[inline]
    pub const fn count(&mut self, reason: DropReason) {
        self.count_many(reason, 1);
    }

    /// Counts packets that were dropped together.
    #[inline]
    pub const fn count_many(&mut self, reason: DropReason, packets: u64) {
        self.counts[reason as usize] += packets;
    }

    /// Returns how many packets were dropped for a reason.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.counts[reason as usize]
    }

    /// Returns how many packets were dropped in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_word() {
        let words: std::collections::BTreeSet<_> = DropReason::ALL.map(DropReason::as_str).into();

        assert_eq!(words.len(), DropReason::ALL.len());
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }

    #[test]
    fn counts_are_kept_by_reason() {
        let mut drops = Drops::default();
        drops.count(DropReason::TooBig);

        assert_eq!((drops.of(DropReason::TooBig), drops.total()), (1, 1));
    }
}
