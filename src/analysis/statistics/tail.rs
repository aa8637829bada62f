//! Tail probabilities of the normal and Student distributions.
//!
//! Only tails are offered, never 1 − CDF, so that a p-value of 10⁻³⁰ does not become zero on the way.

/// Two-sided 95 % point of the normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;

/// Returns the probability that a standard normal variable exceeds `z`.
pub fn normal_upper(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Returns the probability that a standard normal variable is further from zero than `z`.
pub fn normal_two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Returns the probability that Student's t with `freedom` degrees of freedom is further from zero than `t`.
///
/// The finite series of Abramowitz and Stegun (1964), "Handbook of Mathematical Functions", 26.7.3 and 26.7.4; below
/// about 10⁻¹⁵ it is rounding noise, which no decision here depends on.
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

/// Returns the t that Student's distribution with `freedom` degrees of freedom stays within with 95 %.
pub fn student_95(freedom: u32) -> f64 {
    // With one degree of freedom it is 12.7, with more it is less. Fifty halvings leave nothing of that to a double.
    let (mut low, mut high) = (Z95, 13.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if student_two_sided(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}
