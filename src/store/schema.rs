//! The bucket edges of Prometheus's native histograms.
//!
//! In schema `s` the upper edge of bucket `k` is 2^(k/2^s), and belongs to it. The invariant that a change could break: the
//! edges are the same floats as in Prometheus and its client libraries, so that a value on an edge is in the same bucket.

/// The finest schema that is used here: eight buckets in an octave, each 9 % wide.
pub(crate) const FINEST: i32 = 3;

/// The edges in the octave from 0.5 to 1, as in `nativeHistogramBounds[3]` of client_golang.
const BOUNDS: [f64; 8] = [
    0.5,
    0.5452538663326288,
    0.5946035575013605,
    0.6484197773255048,
    0.7071067811865475,
    0.7711054127039704,
    0.8408964152537144,
    0.9170040432046711,
];

/// Returns the edges from `2^from` to `2^to` in a schema.
pub(crate) fn edges(schema: i32, from: i32, to: i32) -> impl Iterator<Item = f64> {
    let scale = FINEST - schema;
    ((from << schema)..=(to << schema)).map(move |key| edge(key << scale))
}

/// Returns the upper edge of a bucket of the finest schema.
fn edge(key: i32) -> f64 {
    BOUNDS[(key & 7) as usize] * 2_f64.powi((key >> 3) + 1)
}

/// Returns the number of the bucket that a positive value falls into.
pub(crate) fn key(schema: i32, value: f64) -> i32 {
    let mut key = (value.log2() * 8.0).ceil() as i32;
    // The logarithm is rounded, so the value may be on the other side of the edge.
    while edge(key) < value {
        key += 1;
    }
    while edge(key - 1) >= value {
        key -= 1;
    }
    let scale = FINEST - schema;
    (key + (1 << scale) - 1) >> scale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bucket_below_it() {
        #[track_caller]
        fn check(schema: i32, value: f64, expected: i32) {
            assert_eq!(key(schema, value), expected);
        }
        check(3, 1.0, 0);
        check(3, 1.0_f64.next_up(), 1);
        check(3, 2.0 * BOUNDS[1], 1);
        check(3, 2.0, 8);
        check(3, 0.5, -8);
        check(3, 0.5_f64.next_up(), -7);
        check(1, 1.0, 0);
        check(1, 1.1, 1);
        check(1, 1.5, 2);
        check(0, 64.0, 6);
        check(0, 65.0, 7);
    }

    #[test]
    fn a_coarser_schema_has_every_nth_edge() {
        assert_eq!(edges(0, -1, 3).collect::<Vec<_>>(), [0.5, 1.0, 2.0, 4.0, 8.0]);
        assert_eq!(edges(1, 0, 1).collect::<Vec<_>>(), [1.0, 2.0 * BOUNDS[4], 2.0]);
        assert_eq!(edges(3, 0, 1).count(), 9);
    }

    proptest! {
        #[test]
        fn a_value_is_between_the_edges_of_its_bucket(value in (-60.0..60.0_f64).prop_map(f64::exp2)) {
            let found = key(FINEST, value);
            prop_assert!(edge(found - 1) < value && value <= edge(found));
            prop_assert!((edge(found) / 2_f64.powf(f64::from(found) / 8.0) - 1.0).abs() < 1e-15);
        }
    }
}
