//! Random bytes of the operating system.

/// Returns `N` random bytes.
///
/// # Panics
/// When the kernel has no randomness to give, which happens on no host that has booted.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("a booted kernel has randomness");
    bytes
}
