//! What both kinds of curves need: a sum of two multiples.

use crate::modular::{bit, Number};

/// A group of points.
pub trait Curve {
    type Point: Clone;
    fn neutral(&self) -> Self::Point;
    fn double(&self, p: &Self::Point) -> Self::Point;
    fn add(&self, p: &Self::Point, q: &Self::Point) -> Self::Point;
}

/// The sums i P + j Q for i and j from 0 to 3, at 4 i + j. They are made with the key, and are
/// in the memory that each request begins with.
#[derive(Clone, Debug)]
pub struct Sums<P>(Vec<P>);

impl<P: Clone> Sums<P> {
    pub fn new<C: Curve<Point = P>>(curve: &C, p: &P, q: &P) -> Sums<P> {
        let mut all = vec![curve.neutral(); 16];
        for i in 1..16 {
            all[i] = if i % 4 > 0 { curve.add(&all[i - 1], q) } else { curve.add(&all[i - 4], p) };
        }
        Sums(all)
    }

    /// Returns a P + b Q.
    pub fn multiply<C: Curve<Point = P>>(&self, curve: &C, a: &Number<8>, b: &Number<8>) -> P {
        let mut sum = curve.neutral();
        for i in (0..256).step_by(2).rev() {
            sum = curve.double(&curve.double(&sum));
            let at = bit(a, i + 1) << 3 | bit(a, i) << 2 | bit(b, i + 1) << 1 | bit(b, i);
            if at != 0 {
                sum = curve.add(&sum, &self.0[at as usize]);
            }
        }
        sum
    }
}
