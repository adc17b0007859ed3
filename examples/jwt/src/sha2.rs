//! SHA-256 and SHA-512 (FIPS 180-4), and HMAC with SHA-256 (RFC 2104).

/// The first bits of the fractional parts of the cube roots of the first primes.
const K256: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The same with 64 bits.
const K512: [u64; 80] = [
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
];

/// Returns the last block of a message, or the last two: what is behind the whole ones, a one,
/// zeros, and its length in bits, in an eighth of a block (FIPS 180-4, section 5.1).
fn last(rest: &[u8], len: usize, block: usize) -> Vec<u8> {
    let mut end = rest.to_vec();
    end.push(0x80);
    let room = if end.len() + block / 8 <= block { block } else { 2 * block };
    end.resize(room - 8, 0);
    end.extend_from_slice(&(len as u64 * 8).to_be_bytes());
    end
}

/// SHA-256 of the texts, one behind the other.
pub fn sha256(texts: &[&[u8]]) -> [u8; 32] {
    let message = texts.concat();
    let mut h: [u32; 8] = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    let whole = message.chunks_exact(64);
    let end = last(whole.remainder(), message.len(), 64);
    for block in whole.chain(end.chunks_exact(64)) {
        let mut w = [0u32; 64];
        for (w, b) in w.iter_mut().zip(block.chunks_exact(4)) {
            *w = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        }
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ w[i - 15] >> 3;
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut k] = h;
        for i in 0..64 {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let t1 = k.wrapping_add(s1).wrapping_add(e & f ^ !e & g).wrapping_add(K256[i]).wrapping_add(w[i]);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let t2 = s0.wrapping_add(a & b ^ a & c ^ b & c);
            (k, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
        }
        for (h, v) in h.iter_mut().zip([a, b, c, d, e, f, g, k]) {
            *h = h.wrapping_add(v);
        }
    }
    let mut out = [0; 32];
    for (o, v) in out.chunks_exact_mut(4).zip(h) {
        o.copy_from_slice(&v.to_be_bytes());
    }
    out
}

/// SHA-512 of the texts, one behind the other.
pub fn sha512(texts: &[&[u8]]) -> [u8; 64] {
    let message = texts.concat();
    let mut h: [u64; 8] = [
        0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b,
        0x5be0cd19137e2179,
    ];
    let whole = message.chunks_exact(128);
    let end = last(whole.remainder(), message.len(), 128);
    for block in whole.chain(end.chunks_exact(128)) {
        let mut w = [0u64; 80];
        for (w, b) in w.iter_mut().zip(block.chunks_exact(8)) {
            *w = u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        }
        for i in 16..80 {
            let s0 = w[i - 15].rotate_right(1) ^ w[i - 15].rotate_right(8) ^ w[i - 15] >> 7;
            let s1 = w[i - 2].rotate_right(19) ^ w[i - 2].rotate_right(61) ^ w[i - 2] >> 6;
            w[i] = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut k] = h;
        for i in 0..80 {
            let s1 = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
            let t1 = k.wrapping_add(s1).wrapping_add(e & f ^ !e & g).wrapping_add(K512[i]).wrapping_add(w[i]);
            let s0 = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
            let t2 = s0.wrapping_add(a & b ^ a & c ^ b & c);
            (k, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
        }
        for (h, v) in h.iter_mut().zip([a, b, c, d, e, f, g, k]) {
            *h = h.wrapping_add(v);
        }
    }
    let mut out = [0; 64];
    for (o, v) in out.chunks_exact_mut(8).zip(h) {
        o.copy_from_slice(&v.to_be_bytes());
    }
    out
}

/// HMAC with SHA-256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&sha256(&[key]));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = sha256(&[&block.map(|b| b ^ 0x36), message]);
    sha256(&[&block.map(|b| b ^ 0x5c), &inner])
}

/// Reports whether two codes are the same, in a time that does not tell where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(b: &[u8]) -> String {
        b.iter().map(|b| format!("{:02x}", b)).collect()
    }

    // Lengths on both sides of each end of a block and of its padding; digests by another
    // implementation.
    #[test]
    fn lengths() {
        for (len, want256, want512) in [
            (0, "e3b0c44298fc1c14", "cf83e1357eefb8bd"),
            (1, "6e340b9cffb37a98", "b8244d028981d693"),
            (55, "463eb28e72f82e0a", "6856647f269c2ee3"),
            (56, "da2ae4d6b36748f2", "8b12b2f6fe400a51"),
            (63, "29af2686fd53374a", "9dc9c5598e55dc42"),
            (64, "fdeab9acf3710362", "ee4320ebaf3fdb4f"),
            (65, "4bfd2c8b6f1eec7a", "02856cef735f9ace"),
            (111, "60780e9451bdc43c", "a1a111449b198d9b"),
            (112, "09373f127d34e61d", "c5fbd731d19d2ae1"),
            (119, "da18797ed7c3a777", "43e497279c2ce805"),
            (120, "f52b23db1fbb6ded", "9636708964c5ff66"),
            (127, "92ca0fa6651ee2f9", "eab89674feaa34e2"),
            (128, "471fb943aa23c511", "1dffd5e3adb71d45"),
            (129, "5099c6a56203f968", "1d9da57fbbdab09a"),
            (239, "5e1c10284710f5c2", "cb4c7fd522756d57"),
            (240, "abf4bafcddb38bbf", "6c48466c9f6c07e4"),
            (1000, "4e4c294b331f7a20", "5096498d96f50f9a"),
        ] {
            let message: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let (one, two) = message.split_at(len / 3);
            assert_eq!(hex(&sha256(&[one, two])[..8]), want256, "SHA-256 of {} bytes", len);
            assert_eq!(hex(&sha512(&[one, two])[..8]), want512, "SHA-512 of {} bytes", len);
        }
    }

    // FIPS 180-4's examples.
    #[test]
    fn abc() {
        assert_eq!(hex(&sha256(&[b"abc"])), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            hex(&sha512(&[b"abc"])),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    // RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn hmac() {
        let f = |key: &[u8], message: &[u8], want: &str| assert_eq!(hex(&hmac_sha256(key, message)), want);
        f(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        f(b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        f(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn equality() {
        assert!(equal(b"", b"") && equal(b"ab", b"ab"));
        assert!(!equal(b"ab", b"ac") && !equal(b"ab", b"bb") && !equal(b"ab", b"a") && !equal(b"", b"a"));
    }
}
