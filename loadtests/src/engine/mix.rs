//! Divides work by weight.

/// Returns how many of `users` are of each kind: as near to the weights as whole users can be. Each kind has at least one
/// user if there are enough, or its requests would go untested.
pub(super) fn apportion(users: usize, weights: &[usize]) -> Vec<usize> {
    let mut counts = vec![usize::from(users >= weights.len()); weights.len()];
    // The Sainte-Laguë method: the next user goes to the kind that is furthest below its share.
    for _ in counts.iter().sum()..users {
        let behind = |a: &usize, b: &usize| {
            let product = |weight: usize, count: usize| weight as u128 * (2 * count as u128 + 1);
            product(weights[*a], counts[*b]).cmp(&product(weights[*b], counts[*a]))
        };
        // Of equals the first.
        let Some(next) = (0..weights.len()).rev().max_by(behind) else { break };
        counts[next] += 1;
    }
    counts
}

/// Returns a sentence if there are too few users to divide them by weight: a kind has none, or one although its share is
/// less than half a user.
pub(super) fn describe_mix(users: usize, kinds: &[(&str, usize)]) -> Option<String> {
    let weights: Vec<usize> = kinds.iter().map(|(_, weight)| *weight).collect();
    let (counts, total) = (apportion(users, &weights), weights.iter().sum::<usize>());
    let fits = |(count, weight): (&usize, &usize)| *count > 1 || 2 * users * weight >= count * total && *count > 0;
    if counts.iter().zip(&weights).all(fits) {
        return None;
    }
    let parts: Vec<String> = counts.iter().zip(kinds).map(|(count, (name, _))| format!("{count} \"{name}\"")).collect();
    let weights: Vec<String> = weights.iter().map(usize::to_string).collect();
    let of = if users == 1 { "The one user is" } else { "The users are" };
    Some(format!("{of} {}: too few to be divided {}.", parts.join(", "), weights.join(" to ")))
}

/// Returns indices in proportion to their weights, spread as evenly as possible: weights 3 and 1 give `0 0 1 0`.
pub(super) fn interleave(weights: &[usize]) -> Vec<usize> {
    let common = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::try_from(weight / common).unwrap_or(i64::MAX)).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    (0..total)
        .filter_map(|_| {
            for (credit, weight) in credit.iter_mut().zip(&weights) {
                *credit += weight;
            }
            let richest = (0..credit.len()).rev().max_by_key(|index| credit[*index])?;
            credit[richest] -= total;
            Some(richest)
        })
        .collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Returns where a user starts in an order of that length. The users of a run are spread over it, however few they are.
pub(super) fn starting_point(user: usize, length: usize) -> usize {
    // Multiples of the golden ratio, here as a fraction of 2^32, fill a circle evenly for any number of users.
    let turn = (user as u32).wrapping_mul(0x9E37_79B9);
    ((u64::from(turn) * length as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_spread() {
        assert_eq!(interleave(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(interleave(&[2, 2]), [0, 1]);
        assert_eq!(interleave(&[500, 500, 500]).len(), 3);
        assert_eq!(interleave(&[]), [] as [usize; 0]);
    }

    #[test]
    fn users_are_divided_by_weight_and_no_kind_is_left_out() {
        assert_eq!(apportion(10, &[97, 3]), [9, 1]);
        assert_eq!(apportion(100, &[97, 3]), [97, 3]);
        assert_eq!(apportion(12, &[3, 1]), [9, 3]);
        assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(apportion(2, &[1, 5, 3]), [0, 1, 1]);
        assert_eq!(apportion(3, &[1, 50, 3]), [1, 1, 1]);
        assert_eq!(apportion(5, &[]), [] as [usize; 0]);
        assert_eq!(interleave(&apportion(1, &[3, 97])), [1]);
    }

    #[test]
    fn a_mix_far_from_the_weights_is_reported() {
        let kinds = [("a", 97), ("b", 3)];
        assert_eq!(describe_mix(10, &kinds).unwrap(), "The users are 9 \"a\", 1 \"b\": too few to be divided 97 to 3.");
        assert_eq!(
            describe_mix(1, &kinds).unwrap(),
            "The one user is 1 \"a\", 0 \"b\": too few to be divided 97 to 3."
        );
        assert_eq!(describe_mix(17, &kinds), None);
        assert_eq!(describe_mix(10, &[("a", 1), ("b", 1), ("c", 1)]), None);
        assert_eq!(describe_mix(1, &[("a", 7)]), None);
    }

    #[test]
    fn few_users_start_all_over_an_order() {
        let mut starts: Vec<usize> = (1..=10).map(|user| starting_point(user, 100)).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| (4..=17).contains(&(pair[1] - pair[0]))), "{starts:?}");
        assert!((0..1000).all(|user| starting_point(user, 3) < 3));
    }
}
