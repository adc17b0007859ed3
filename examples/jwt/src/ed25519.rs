//! Ed25519, EdDSA of RFC 8037 (RFC 8032, section 5.1).

use crate::curve::{Curve, Sums};
use crate::modular::{bytes, is_zero, less, Modulus, Number};
use crate::sha2::sha512;

const P: Number<8> = [0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff];
const L: Number<8> = [0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000];

/// The base point: y = 4/5, and an even x.
const BASE: [u8; 32] = {
    let mut b = [0x66; 32];
    b[0] = 0x58;
    b
};

/// A public key.
#[derive(Clone, Debug)]
pub struct Key {
    public: [u8; 32],
    curve: Edwards,
    order: Modulus<8>,
    sums: Sums<Point>, // of the base point and the opposite of the key's
}

impl Key {
    /// Makes a key of its encoding.
    pub fn new(public: &[u8]) -> Result<Key, &'static str> {
        let public: [u8; 32] = public.try_into().map_err(|_| "x has 32 bytes")?;
        let curve = Edwards::new();
        let a = curve.decode(&public).ok_or("x is no point of Ed25519")?;
        let eight = curve.double(&curve.double(&curve.double(&a)));
        if is_zero(&eight.x) {
            return Err("x is a point of small order, by which anybody could sign");
        }
        let base = curve.decode(&BASE).ok_or("BUG: the base point is not on the curve")?;
        let minus = Point { x: curve.f.neg(&a.x), t: curve.f.neg(&a.t), ..a };
        Ok(Key { public, sums: Sums::new(&curve, &base, &minus), order: Modulus::new(L), curve })
    }

    /// RFC 8032, section 5.1.7, without the factor 8: S B - k A is R.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != 64 {
            return false;
        }
        let (r, s) = signature.split_at(32);
        let s = little_endian(s);
        if !less(&s, &L) {
            return false; // there would be two signatures
        }
        let digest = sha512(&[r, &self.public, message]);
        let (low, high) = digest.split_at(32);
        let n = &self.order;
        // The residue of 2^256 high: its number is what the residue of high is.
        let high = n.residue(&n.residue(&little_endian(high)));
        let k = n.number(&n.add(&n.residue(&little_endian(low)), &high));
        self.curve.encode(&self.sums.multiply(&self.curve, &s, &k)) == r
    }
}

/// Reads 32 bytes, the least significant first.
fn little_endian(b: &[u8]) -> Number<8> {
    let mut v = [0; 8];
    for (v, b) in v.iter_mut().zip(b.chunks_exact(4)) {
        *v = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    }
    v
}

/// The curve -x^2 + y^2 = 1 + d x^2 y^2, with the arithmetic of its field.
#[derive(Clone, Debug)]
struct Edwards {
    f: Modulus<8>,
    d: Number<8>,
    root: Number<8>, // of -1
}

/// A point in extended coordinates: (x/z, y/z), and t = x y / z.
#[derive(Clone, Debug)]
struct Point {
    x: Number<8>,
    y: Number<8>,
    z: Number<8>,
    t: Number<8>,
}

impl Edwards {
    fn new() -> Edwards {
        let f = Modulus::new(P);
        let d = f.neg(&f.mul(&f.small(121665), &f.invert(&f.small(121666))));
        // 2^((p-1)/4); p-1 ends with the bits 00.
        let root = f.pow(&f.small(2), &shifted(&P, 2));
        Edwards { f, d, root }
    }

    /// RFC 8032, section 5.1.3.
    fn decode(&self, encoding: &[u8; 32]) -> Option<Point> {
        let f = &self.f;
        let mut y = little_endian(encoding);
        let odd = y[7] >> 31;
        y[7] &= 0x7fffffff;
        if !less(&y, &P) {
            return None;
        }
        let y = f.residue(&y);
        // x^2 = u/v, whose root is u v^3 (u v^7)^((p-5)/8), or that times the root of -1.
        let yy = f.square(&y);
        let u = f.sub(&yy, &f.one);
        let v = f.add(&f.mul(&self.d, &yy), &f.one);
        let v3 = f.mul(&f.square(&v), &v);
        let v7 = f.mul(&f.square(&v3), &v);
        let mut x = f.mul(&f.mul(&u, &v3), &f.pow(&f.mul(&u, &v7), &shifted(&P, 3)));
        let vxx = f.mul(&v, &f.square(&x));
        if vxx == f.neg(&u) {
            x = f.mul(&x, &self.root);
        } else if vxx != u {
            return None;
        }
        if is_zero(&x) && odd == 1 {
            return None;
        }
        if f.number(&x)[0] & 1 != odd {
            x = f.neg(&x);
        }
        Some(Point { x, y, z: f.one, t: f.mul(&x, &y) })
    }

    /// RFC 8032, section 5.1.2.
    fn encode(&self, p: &Point) -> Vec<u8> {
        let f = &self.f;
        let z = f.invert(&p.z);
        let mut out = bytes(&f.number(&f.mul(&p.y, &z)));
        out.reverse();
        out[31] |= (f.number(&f.mul(&p.x, &z))[0] as u8 & 1) << 7;
        out
    }
}

/// Returns a number without its low bits.
fn shifted(v: &Number<8>, bits: u32) -> Number<8> {
    let mut out = [0; 8];
    for i in 0..8 {
        out[i] = v[i] >> bits | if i < 7 { v[i + 1] << (32 - bits) } else { 0 };
    }
    out
}

// The formulas of RFC 8032, section 5.1.4, which hold for all points.
impl Curve for Edwards {
    type Point = Point;

    fn neutral(&self) -> Point {
        Point { x: [0; 8], y: self.f.one, z: self.f.one, t: [0; 8] }
    }

    fn double(&self, p: &Point) -> Point {
        let f = &self.f;
        let a = f.square(&p.x);
        let b = f.square(&p.y);
        let zz = f.square(&p.z);
        let h = f.add(&a, &b);
        let e = f.sub(&h, &f.square(&f.add(&p.x, &p.y)));
        let g = f.sub(&a, &b);
        let c = f.add(&f.add(&zz, &zz), &g);
        Point { x: f.mul(&e, &c), y: f.mul(&g, &h), z: f.mul(&c, &g), t: f.mul(&e, &h) }
    }

    fn add(&self, p: &Point, q: &Point) -> Point {
        let f = &self.f;
        let a = f.mul(&f.sub(&p.y, &p.x), &f.sub(&q.y, &q.x));
        let b = f.mul(&f.add(&p.y, &p.x), &f.add(&q.y, &q.x));
        let c = f.mul(&f.mul(&p.t, &q.t), &f.add(&self.d, &self.d));
        let zz = f.mul(&p.z, &q.z);
        let d = f.add(&zz, &zz);
        let (e, g, h, i) = (f.sub(&b, &a), f.sub(&d, &c), f.add(&d, &c), f.add(&b, &a));
        Point { x: f.mul(&e, &g), y: f.mul(&h, &i), z: f.mul(&g, &h), t: f.mul(&e, &i) }
    }
}
