//! Memory that is received into, and cut from without a copy.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Cuts pieces off a block, front to back; a block whose pieces are all let go of is used again.
pub(crate) struct Intake {
    /// What is left of the block in use: initialised memory.
    free: BytesMut,
    block_bytes: usize,
    /// Handles of used-up blocks whose pieces may still be held, oldest first.
    spent: VecDeque<BytesMut>,
}

/// Used-up blocks that are remembered; pieces that live longer take their block with them.
const SPENT_MAX: usize = 16;

impl Intake {
    /// Allocates when it is first asked for space.
    pub(crate) fn new(block_bytes: usize) -> Self {
        Self { free: BytesMut::new(), block_bytes, spent: VecDeque::new() }
    }

    /// Returns `length` bytes to write to; at most a block.
    pub(crate) fn space(&mut self, length: usize) -> &mut [u8] {
        if self.free.len() < length {
            self.renew();
        }
        &mut self.free[..length]
    }

    /// Cuts off the first `length` bytes of what [`Intake::space`] returned.
    pub(crate) fn take(&mut self, length: usize) -> BytesMut {
        self.free.split_to(length)
    }

    fn renew(&mut self) {
        let mut block = std::mem::take(&mut self.free);
        block.clear();
        self.spent.push_back(block);
        self.free = self.reclaimed().unwrap_or_else(|| BytesMut::zeroed(self.block_bytes));
        self.spent.truncate(SPENT_MAX);
    }

    /// Takes back the oldest block that nobody holds a piece of.
    fn reclaimed(&mut self) -> Option<BytesMut> {
        let at = self.spent.iter_mut().position(|block| block.try_reclaim(self.block_bytes))?;
        let mut block = self.spent.remove(at)?;
        // SAFETY: `try_reclaim` allocates nothing, so this is all of a block that was zeroed when it was made.
        #[allow(unsafe_code, reason = "zeroing it again would cost as much as the copy that this saves")]
        unsafe {
            block.set_len(self.block_bytes);
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_was_written() {
        let mut intake = Intake::new(16);
        let pieces: Vec<_> = (0..100u8)
            .map(|value| {
                intake.space(7).fill(value);
                intake.take(usize::from(value % 7) + 1)
            })
            .collect();
        for (value, piece) in pieces.iter().enumerate() {
            assert!(piece.iter().all(|byte| usize::from(*byte) == value), "{value}: {piece:?}");
            assert_eq!(piece.len(), value % 7 + 1);
        }
    }

    #[test]
    fn block_is_used_again_when_its_pieces_are_gone() {
        let mut intake = Intake::new(16);
        intake.space(16).fill(1);
        let piece = intake.take(16);
        let at = piece.as_ptr();
        drop(piece);
        assert_eq!(intake.space(16).as_ptr(), at);
        let held = intake.take(16);
        assert_ne!(intake.space(16).as_ptr(), held.as_ptr());
    }
}
