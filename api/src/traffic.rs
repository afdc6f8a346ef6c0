//! What a device counted of its link, signed: the gateway passes it on and cannot make it up.

use serde::{Deserialize, Serialize};

use crate::{
    key::PublicKey,
    signed::{Document, Signed},
};

/// The feature of a gateway that takes reports.
pub const TRAFFIC_REPORTS: &str = "traffic-reports";

/// Bytes of inner packets, counted from the start of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub inbound_bytes: u64,
    pub outbound_bytes: u64,
}

/// A device's word about one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficReport {
    /// The gateway at the other end.
    pub gateway: PublicKey,
    /// Drawn by the device for each link.
    pub link: u64,
    /// From the device's point of view.
    pub counts: Counts,
}

impl Document for TrafficReport {
    const DOMAIN: &'static [u8] = b"hz-traffic-v1\0";
}

/// A report as a gateway passes it on, with what it had counted itself when the report came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedReport {
    /// A signed [`TrafficReport`].
    pub report: Signed,
    /// From the gateway's point of view.
    pub counts: Counts,
}
