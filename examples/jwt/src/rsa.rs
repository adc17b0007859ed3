//! RSASSA-PKCS1-v1_5 with SHA-256, RS256 (RFC 7518, section 3.3; RFC 8017, section 8.2.2).

use crate::modular::{bytes, less, number, Modulus};
use crate::sha2::sha256;

/// The DER of DigestInfo for SHA-256, which the digest follows (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// A public key of one of the usual sizes. Less than 2048 bits are refused (RFC 7518, section
/// 3.3).
#[derive(Clone, Debug)]
pub enum Key {
    Bits2048(Sized<64>),
    Bits3072(Sized<96>),
    Bits4096(Sized<128>),
}

#[derive(Clone, Debug)]
pub struct Sized<const N: usize> {
    modulus: Modulus<N>,
    exponent: u32,
}

impl Key {
    /// Makes a key of modulus and exponent, big-endian.
    pub fn new(n: &[u8], e: &[u8]) -> Result<Key, &'static str> {
        let exponent = match number::<1>(e) {
            Some([e]) if e >= 3 && e % 2 == 1 => e,
            _ => return Err("e is not odd, or not from 3 to 2^32-1"),
        };
        match n.len() {
            256 => Sized::new(n, exponent).map(Key::Bits2048),
            384 => Sized::new(n, exponent).map(Key::Bits3072),
            512 => Sized::new(n, exponent).map(Key::Bits4096),
            _ => None,
        }
        .ok_or("n is not an odd number of 2048, 3072 or 4096 bits")
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Bits2048(k) => k.verify(message, signature),
            Key::Bits3072(k) => k.verify(message, signature),
            Key::Bits4096(k) => k.verify(message, signature),
        }
    }
}

impl<const N: usize> Sized<N> {
    fn new(n: &[u8], exponent: u32) -> Option<Sized<N>> {
        let n: [u32; N] = number(n)?;
        if n[N - 1] >> 31 == 0 || n[0] % 2 == 0 {
            return None;
        }
        Some(Sized { modulus: Modulus::new(n), exponent })
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let s: [u32; N] = match number(signature) {
            // RFC 8017, section 8.2.2, step 1, and section 5.2.2, step 1.
            Some(s) if signature.len() == 4 * N && less(&s, &self.modulus.n) => s,
            _ => return false,
        };
        let power = self.modulus.pow(&self.modulus.residue(&s), &[self.exponent]);
        // What was signed is made and compared, not parsed: there is one encoding.
        let mut want = vec![0xff; 4 * N];
        want[0] = 0;
        want[1] = 1;
        let info = 4 * N - 32 - DIGEST_INFO.len();
        want[info - 1] = 0;
        want[info..4 * N - 32].copy_from_slice(&DIGEST_INFO);
        want[4 * N - 32..].copy_from_slice(&sha256(&[message]));
        bytes(&self.modulus.number(&power)) == want
    }
}
