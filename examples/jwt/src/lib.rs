//! Lets requests through that carry a JSON Web Token, and nobody else. See README.md.

mod base64;
mod curve;
mod ed25519;
#[cfg(target_arch = "wasm32")]
mod filter;
mod json;
pub mod jwks;
mod keys;
mod modular;
mod p256;
pub mod policy;
mod rsa;
mod sha2;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_jwks;
pub mod token;
