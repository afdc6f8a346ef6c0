//! Attacks, played against the real programs: each row of the threat table in docs/security.md names its test.

mod attacks {
    mod devices;
    mod e2e;
    mod links;
    mod revocation;
    mod rotation;
    mod servers;
    mod store;
    mod tpm;
}
