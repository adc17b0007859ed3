//! Arithmetic modulo an odd number, by Montgomery's method. It is for public numbers: its time
//! depends on them.

/// A number of N words of 32 bits, the least first.
pub type Number<const N: usize> = [u32; N];

/// Reads a number from bytes, the most significant first. None: it has no room.
pub fn number<const N: usize>(bytes: &[u8]) -> Option<Number<N>> {
    let mut v = [0; N];
    for (i, b) in bytes.iter().rev().enumerate() {
        match v.get_mut(i / 4) {
            Some(word) => *word |= u32::from(*b) << (i % 4 * 8),
            None if *b == 0 => (),
            None => return None,
        }
    }
    Some(v)
}

/// Returns the bytes of a number, the most significant first.
pub fn bytes<const N: usize>(v: &Number<N>) -> Vec<u8> {
    v.iter().rev().flat_map(|word| word.to_be_bytes()).collect()
}

pub fn less<const N: usize>(a: &Number<N>, b: &Number<N>) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

pub fn is_zero<const N: usize>(v: &Number<N>) -> bool {
    v.iter().all(|word| *word == 0)
}

/// Returns the bit of a number.
pub fn bit<const N: usize>(v: &Number<N>, i: usize) -> u32 {
    v[i / 32] >> (i % 32) & 1
}

/// Subtracts, and reports whether there was a borrow.
fn subtract<const N: usize>(a: &mut Number<N>, b: &Number<N>) -> bool {
    let mut borrow = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (v, one) = a.overflowing_sub(*b);
        let (v, two) = v.overflowing_sub(u32::from(borrow));
        *a = v;
        borrow = one || two;
    }
    borrow
}

/// Adds, and reports whether there was a carry.
fn add<const N: usize>(a: &mut Number<N>, b: &Number<N>) -> bool {
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        let sum = u64::from(*a) + u64::from(*b) + carry;
        *a = sum as u32;
        carry = sum >> 32;
    }
    carry != 0
}

/// A modulus. With R = 2^(32 N), the residues that its methods take and return are v R mod n,
/// less than n, but where they say otherwise.
#[derive(Clone, Debug)]
pub struct Modulus<const N: usize> {
    pub n: Number<N>,
    inverse: u32,       // of -n, modulo 2^32
    square: Number<N>,  // R^2 mod n
    pub one: Number<N>, // R mod n
}

impl<const N: usize> Modulus<N> {
    /// Makes one of an odd number.
    pub fn new(n: Number<N>) -> Modulus<N> {
        let mut inverse = 1u32;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(n[0].wrapping_mul(inverse))); // twice as many bits are right
        }
        let mut m = Modulus { n, inverse: inverse.wrapping_neg(), square: [0; N], one: [0; N] };
        // From the greatest power of 2 that is less than n to R.
        let words = N - n.iter().rev().take_while(|word| **word == 0).count();
        let top = 32 * words - n[words - 1].leading_zeros() as usize - 1;
        let mut power = [0; N];
        power[top / 32] = 1 << (top % 32);
        for _ in top..32 * N {
            power = m.add(&power, &power);
        }
        m.one = power;
        // 2^k R for the odd k of 32 N, and then that exponent times 2 until it is 32 N.
        let twice = (32 * N).trailing_zeros();
        for _ in 0..32 * N >> twice {
            power = m.add(&power, &power);
        }
        for _ in 0..twice {
            power = m.square(&power);
        }
        m.square = power;
        m
    }

    /// a b / R, for any a and for b less than n.
    pub fn mul(&self, a: &Number<N>, b: &Number<N>) -> Number<N> {
        let mut t = [0u32; N];
        let mut high = 0u64; // what is above t; less than 2^33
        for a in a {
            let mut carry = 0;
            for (t, b) in t.iter_mut().zip(b) {
                let v = u64::from(*t) + u64::from(*a) * u64::from(*b) + carry;
                *t = v as u32;
                carry = v >> 32;
            }
            high += carry;
            let m = u64::from(t[0].wrapping_mul(self.inverse));
            carry = (u64::from(t[0]) + m * u64::from(self.n[0])) >> 32;
            for j in 1..N {
                let v = u64::from(t[j]) + m * u64::from(self.n[j]) + carry;
                t[j - 1] = v as u32;
                carry = v >> 32;
            }
            high += carry;
            t[N - 1] = high as u32;
            high >>= 32;
        }
        if high != 0 || !less(&t, &self.n) {
            subtract(&mut t, &self.n);
        }
        t
    }

    pub fn square(&self, a: &Number<N>) -> Number<N> {
        self.mul(a, a)
    }

    pub fn add(&self, a: &Number<N>, b: &Number<N>) -> Number<N> {
        let mut sum = *a;
        if add(&mut sum, b) || !less(&sum, &self.n) {
            subtract(&mut sum, &self.n);
        }
        sum
    }

    pub fn sub(&self, a: &Number<N>, b: &Number<N>) -> Number<N> {
        let mut difference = *a;
        if subtract(&mut difference, b) {
            add(&mut difference, &self.n);
        }
        difference
    }

    pub fn neg(&self, a: &Number<N>) -> Number<N> {
        self.sub(&[0; N], a)
    }

    /// The residue of any number.
    pub fn residue(&self, v: &Number<N>) -> Number<N> {
        self.mul(v, &self.square)
    }

    /// The residue of a small number.
    pub fn small(&self, v: u32) -> Number<N> {
        let mut n = [0; N];
        n[0] = v;
        self.residue(&n)
    }

    /// The number, less than n, that a residue is of.
    pub fn number(&self, v: &Number<N>) -> Number<N> {
        let mut one = [0; N];
        one[0] = 1;
        // One is less than n; so v is first.
        self.mul(v, &one)
    }

    /// The power of a residue, with any number as exponent.
    pub fn pow<const E: usize>(&self, v: &Number<N>, exponent: &Number<E>) -> Number<N> {
        let mut power = self.one;
        for i in (0..32 * E).rev().skip_while(|i| bit(exponent, *i) == 0) {
            power = self.square(&power);
            if bit(exponent, i) == 1 {
                power = self.mul(&power, v);
            }
        }
        power
    }

    /// The inverse of a residue, of a modulus that is prime (Fermat); 0 of 0.
    pub fn invert(&self, v: &Number<N>) -> Number<N> {
        let mut exponent = self.n;
        exponent[0] -= 2; // no borrow: primes are odd, and all here end with more than 2
        self.pow(v, &exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Moduli at the bounds: small ones, and those with all bits.
    #[test]
    fn small_numbers() {
        for n in [3u64, 5, 65537, 0xffff_ffff, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffc5, 0x8000_0000_0000_0001] {
            let words = |v: u64| [v as u32, (v >> 32) as u32];
            let whole = |v: Number<2>| u64::from(v[1]) << 32 | u64::from(v[0]);
            let m = Modulus::new(words(n));
            let some = [0, 1, 2, 3, 0xffff_ffff, 0x1_0000_0000, n / 2, n / 2 + 1, n - 2, n - 1, u64::MAX, 0x1234_5678_9abc_def0];
            for a in some {
                for b in some {
                    let (x, y) = (m.residue(&words(a)), m.residue(&words(b)));
                    let f = |got: Number<2>, want: u128| assert_eq!(u128::from(whole(m.number(&got))), want % u128::from(n), "{} {} mod {}", a, b, n);
                    f(x, a.into());
                    f(m.add(&x, &y), u128::from(a) + u128::from(b));
                    f(m.sub(&x, &y), u128::from(a) + u128::from(n) - u128::from(b % n));
                    f(m.mul(&x, &y), u128::from(a) * u128::from(b));
                    f(m.pow(&x, &[3]), u128::from(a % n) * u128::from(a % n) % u128::from(n) * u128::from(a % n));
                }
            }
        }
    }

    #[test]
    fn inverses() {
        let m = Modulus::new([0xffff_ffc5, 0xffff_ffff]); // prime
        for v in [1, 2, 3, 65537, u32::MAX] {
            let v = m.small(v);
            assert_eq!(m.mul(&v, &m.invert(&v)), m.one);
        }
        assert!(is_zero(&m.invert(&[0; 2])));
    }

    #[test]
    fn texts() {
        assert_eq!(number::<2>(&[1, 2, 3, 4, 5]), Some([0x02030405, 1]));
        assert_eq!(number::<1>(&[0, 1, 2, 3, 4]), Some([0x01020304]));
        assert_eq!(number::<1>(&[1, 1, 2, 3, 4]), None);
        assert_eq!(bytes(&[0x02030405, 1]), [0, 0, 0, 1, 2, 3, 4, 5]);
        assert!(less(&[9, 1], &[0, 2]) && !less(&[0, 2], &[9, 1]) && !less(&[1, 1], &[1, 1]));
    }
}
