//! Tail probabilities of the normal and Student distributions.
//!
//! Functions return the tails themselves and not the distribution function: 1 − 0.999… would round a p-value of 10⁻³⁰
//! to zero.

/// The distance from zero within which a standard normal variable stays with a probability of 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// Returns the probability that a standard normal variable exceeds `z`: 0.5 for 0, and above it for negative values.
///
/// ```
/// use pinchpoint::analysis::statistics::tail::{Z95, normal_upper};
/// assert!((normal_upper(Z95) - 0.025).abs() < 1e-12);
/// ```
pub fn normal_upper(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Returns the probability that a standard normal variable is further from zero than `z`: 1 for 0.
pub fn normal_two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Returns the probability that Student's t with `freedom` degrees of freedom is further from zero than `t`: 1 for 0.
///
/// Takes 0 degrees of freedom for 1. By the finite series of Abramowitz and Stegun (1964), "Handbook of Mathematical
/// Functions", 26.7.3 and 26.7.4; a result below about 10⁻¹⁵ is rounding noise, on which no decision here depends.
///
/// ```
/// use pinchpoint::analysis::statistics::tail::{student_95, student_two_sided};
/// assert!((student_two_sided(student_95(9), 9) - 0.05).abs() < 1e-12);
/// ```
pub fn student_two_sided(t: f64, freedom: u32) -> f64 {
    let freedom = freedom.max(1);
    let angle = (t.abs() / f64::from(freedom).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    let mut k = if odd { 3 } else { 2 };
    while k < freedom {
        term *= cosine * cosine * f64::from(k - 1) / f64::from(k);
        sum += term;
        k += 2;
    }
    let within = if odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum };
    (1.0 - within).clamp(0.0, 1.0)
}

/// Returns the distance from zero within which Student's t with `freedom` degrees of freedom stays with a probability
/// of 95 %: 12.7 for one degree of freedom, falling towards [`Z95`].
pub fn student_95(freedom: u32) -> f64 {
    // Bisection between the two ends: fifty halvings of a distance of 11 are below the precision of a double.
    let (mut low, mut high) = (Z95, 13.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if student_two_sided(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}
