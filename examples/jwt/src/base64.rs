//! Base64url without padding (RFC 7515, section 2).

/// Decodes a text. There is one encoding of each value: bits behind the last byte are zero.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut have, mut bits) = (0u32, 0);
    for c in text.bytes() {
        let v = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        have = have << 6 | u32::from(v);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((have >> bits) as u8);
            have &= (1 << bits) - 1;
        }
    }
    // Six bits that are left are no byte; others have to be zero (RFC 4648, section 3.5).
    if bits == 6 || have != 0 {
        return None;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn values() {
        for (text, want) in [("", &b""[..]), ("Zg", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg", b"foob"), ("-_8", b"\xfb\xff")] {
            assert_eq!(decode(text).as_deref(), Some(want), "{}", text);
        }
    }

    #[test]
    fn refused() {
        for text in ["A", "Zg==", "Zg=", "Zh", "Zm9", "Z g", "Zg\n", "+/8", "Zm9vY", "é"] {
            assert_eq!(decode(text), None, "{}", text);
        }
    }
}
