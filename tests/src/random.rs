//! Randomness with a seed that is printed, so that a failure can be had again: `HORIZON_SEED=N`.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// A small generator (`SplitMix64`): good enough to choose by, and no secret.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from `HORIZON_SEED` or from the clock, and prints which. The same seed is another beginning for each `what`: two
    /// that a test starts in one second differ.
    pub fn start(what: &str) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let given = env::var("HORIZON_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(clock);
        #[expect(clippy::print_stderr, reason = "what a person needs to see the failure again")]
        {
            eprintln!("{what}: HORIZON_SEED={seed}");
        }
        Self(what.bytes().fold(seed, |mixed, byte| mixed.rotate_left(8) ^ u64::from(byte)))
    }

    /// Returns the next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = (0..count.div_ceil(8)).flat_map(|_| self.draw().to_le_bytes());
        words.take(count).collect()
    }

    /// Returns so many bytes that nothing else draws.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.draw().to_le_bytes()[0])
    }
}
