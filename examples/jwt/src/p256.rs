//! ECDSA with P-256 and SHA-256, ES256 (RFC 7518, section 3.4; FIPS 186-5, section 6.4.2).

use crate::curve::{Curve, Sums};
use crate::modular::{is_zero, less, number, Modulus, Number};
use crate::sha2::sha256;

const P: Number<8> = [0xffffffff, 0xffffffff, 0xffffffff, 0, 0, 0, 1, 0xffffffff];
const N: Number<8> = [0xfc632551, 0xf3b9cac2, 0xa7179e84, 0xbce6faad, 0xffffffff, 0xffffffff, 0, 0xffffffff];
const B: Number<8> = [0x27d2604b, 0x3bce3c3e, 0xcc53b0f6, 0x651d06b0, 0x769886bc, 0xb3ebbd55, 0xaa3a93e7, 0x5ac635d8];
const GX: Number<8> = [0xd898c296, 0xf4a13945, 0x2deb33a0, 0x77037d81, 0x63a440f2, 0xf8bce6e5, 0xe12c4247, 0x6b17d1f2];
const GY: Number<8> = [0x37bf51f5, 0xcbb64068, 0x6b315ece, 0x2bce3357, 0x7c0f9e16, 0x8ee7eb4a, 0xfe1a7f9b, 0x4fe342e2];

/// A public key.
#[derive(Clone, Debug)]
pub struct Key {
    curve: P256,
    order: Modulus<8>,
    sums: Sums<Point>, // of the base point and the key's
}

impl Key {
    /// Makes a key of its coordinates, big-endian.
    pub fn new(x: &[u8], y: &[u8]) -> Result<Key, &'static str> {
        // RFC 7518, section 6.2.1.2: they have the length of the field, zeros in front included.
        if x.len() != 32 || y.len() != 32 {
            return Err("x and y have 32 bytes each");
        }
        let curve = P256(Modulus::new(P));
        match (number(x), number(y)) {
            (Some(x), Some(y)) if less(&x, &P) && less(&y, &P) => match curve.point(&x, &y) {
                Some(q) => {
                    let g = curve.point(&GX, &GY).ok_or("BUG: the base point is not on the curve")?;
                    Ok(Key { sums: Sums::new(&curve, &g, &q), order: Modulus::new(N), curve })
                }
                None => Err("x and y are no point of P-256"),
            },
            _ => Err("x and y are no point of P-256"),
        }
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != 64 {
            return false; // RFC 7518, section 3.4: R and S, 32 bytes each
        }
        let (r, s): (Number<8>, Number<8>) = match (number(&signature[..32]), number(&signature[32..])) {
            (Some(r), Some(s)) => (r, s),
            _ => return false,
        };
        if is_zero(&r) || is_zero(&s) || !less(&r, &N) || !less(&s, &N) {
            return false;
        }
        let e: Number<8> = match number(&sha256(&[message])) {
            Some(e) => e,
            None => return false,
        };
        let n = &self.order;
        let w = n.invert(&n.residue(&s));
        let u = n.number(&n.mul(&n.residue(&e), &w));
        let v = n.number(&n.mul(&n.residue(&r), &w));
        let sum = self.sums.multiply(&self.curve, &u, &v);
        let f = &self.curve.0;
        if is_zero(&sum.z) {
            return false;
        }
        let z = f.invert(&sum.z);
        let x = f.number(&f.mul(&sum.x, &f.square(&z)));
        n.residue(&x) == n.residue(&r)
    }
}

/// The curve y^2 = x^3 - 3 x + b, with the arithmetic of its field.
#[derive(Clone, Debug)]
struct P256(Modulus<8>);

/// A point in Jacobian coordinates, (x/z^2, y/z^3); with z = 0 the neutral one.
#[derive(Clone, Debug)]
struct Point {
    x: Number<8>,
    y: Number<8>,
    z: Number<8>,
}

impl P256 {
    /// Returns the point that has these coordinates, if there is one.
    fn point(&self, x: &Number<8>, y: &Number<8>) -> Option<Point> {
        let f = &self.0;
        let (x, y) = (f.residue(x), f.residue(y));
        let three = f.small(3);
        let right = f.add(&f.mul(&x, &f.sub(&f.square(&x), &three)), &f.residue(&B));
        if f.square(&y) != right {
            return None;
        }
        Some(Point { x, y, z: f.one })
    }
}

impl Curve for P256 {
    type Point = Point;

    fn neutral(&self) -> Point {
        Point { x: self.0.one, y: self.0.one, z: [0; 8] }
    }

    fn double(&self, p: &Point) -> Point {
        let f = &self.0;
        let zz = f.square(&p.z);
        let yy = f.square(&p.y);
        let xyy = f.mul(&p.x, &yy);
        // 3 x^2 - 3 z^4
        let slope = f.mul(&f.sub(&p.x, &zz), &f.add(&p.x, &zz));
        let slope = f.add(&f.add(&slope, &slope), &slope);
        let twice = f.add(&xyy, &xyy);
        let four = f.add(&twice, &twice);
        let x = f.sub(&f.square(&slope), &f.add(&four, &four));
        let z = f.sub(&f.sub(&f.square(&f.add(&p.y, &p.z)), &yy), &zz);
        let eight = {
            let yyyy = f.square(&yy);
            let twice = f.add(&yyyy, &yyyy);
            let four = f.add(&twice, &twice);
            f.add(&four, &four)
        };
        let y = f.sub(&f.mul(&slope, &f.sub(&four, &x)), &eight);
        Point { x, y, z }
    }

    fn add(&self, p: &Point, q: &Point) -> Point {
        if is_zero(&p.z) {
            return q.clone();
        }
        if is_zero(&q.z) {
            return p.clone();
        }
        let f = &self.0;
        let (pzz, qzz) = (f.square(&p.z), f.square(&q.z));
        let (px, qx) = (f.mul(&p.x, &qzz), f.mul(&q.x, &pzz));
        let (py, qy) = (f.mul(&p.y, &f.mul(&q.z, &qzz)), f.mul(&q.y, &f.mul(&p.z, &pzz)));
        let (dx, dy) = (f.sub(&qx, &px), f.sub(&qy, &py));
        if is_zero(&dx) {
            return if is_zero(&dy) { self.double(p) } else { self.neutral() };
        }
        let square = f.square(&dx);
        let cube = f.mul(&dx, &square);
        let v = f.mul(&px, &square);
        let x = f.sub(&f.sub(&f.square(&dy), &cube), &f.add(&v, &v));
        let y = f.sub(&f.mul(&dy, &f.sub(&v, &x)), &f.mul(&py, &cube));
        Point { x, y, z: f.mul(&f.mul(&p.z, &q.z), &dx) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The sum of two multiples is right where points are equal, opposite or neutral.
    #[test]
    fn exceptions() {
        let c = P256(Modulus::new(P));
        let g = c.point(&GX, &GY).unwrap();
        let minus = Point { y: c.0.neg(&g.y), ..g.clone() };
        assert!(is_zero(&c.add(&g, &minus).z));
        assert!(is_zero(&c.double(&c.neutral()).z));
        let same = |a: &Point, b: &Point| {
            let affine = |p: &Point| {
                let z = c.0.invert(&p.z);
                let zz = c.0.square(&z);
                (c.0.mul(&p.x, &zz), c.0.mul(&p.y, &c.0.mul(&zz, &z)))
            };
            affine(a) == affine(b)
        };
        assert!(same(&c.add(&g, &g), &c.double(&g)));
        assert!(same(&c.add(&g, &c.neutral()), &g) && same(&c.add(&c.neutral(), &g), &g));
        let mut last = N;
        last[0] -= 1;
        let s = Sums::new(&c, &g, &minus);
        assert!(is_zero(&s.multiply(&c, &last, &last).z)); // of a point and its opposite
        let s = Sums::new(&c, &g, &g);
        let mut one = [0; 8];
        one[0] = 1;
        assert!(is_zero(&s.multiply(&c, &last, &one).z)); // n G
        assert!(same(&s.multiply(&c, &last, &[0; 8]), &minus));
    }
}
