//! Where text lies on a page.

/// `[a b c d e f]` of the PDF specification: x' = a·x + c·y + e, y' = b·x + d·y + f.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub [f64; 6]);

impl Matrix {
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    pub fn translation(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// First this one, then `outer`.
    pub fn then(self, outer: Self) -> Self {
        let (x, y) = outer.turn(self.0[0], self.0[1]);
        let (u, v) = outer.turn(self.0[2], self.0[3]);
        let (e, f) = outer.apply(self.0[4], self.0[5]);
        Self([x, y, u, v, e, f])
    }

    /// A point.
    pub fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let (u, v) = self.turn(x, y);
        (u + self.0[4], v + self.0[5])
    }

    /// A direction.
    pub fn turn(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, ..] = self.0;
        (a * x + c * y, b * x + d * y)
    }
}
