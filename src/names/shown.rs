//! Names as they are shown: a route, a task or a label of the host's may be of any length, what is shown of it is not.

use std::borrow::Cow;

/// Longest name that is shown, in characters; a statement's fingerprint is never longer.
pub(crate) const LONGEST: usize = 200;

/// Returns a name of at most [`LONGEST`] characters. A longer one loses its end, which is replaced by a hash of the whole,
/// so that different names stay different.
pub(crate) fn shown<'n>(name: impl Into<Cow<'n, str>>) -> Cow<'n, str> {
    let name = name.into();
    if name.len() <= LONGEST || name.chars().count() <= LONGEST {
        return name;
    }
    let tail = tail(&name);
    Cow::Owned(name.chars().take(LONGEST - tail.chars().count()).collect::<String>() + &tail)
}

/// Returns what stands for the end of a text that is cut.
pub(crate) fn tail(whole: &str) -> String {
    format!(" … #{:08x}", fnv1a(whole))
}

/// Returns the FNV-1a hash, which is the same in every process and version: it is part of a label.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_stays_different_from_others() {
        let (most, more) = ("é".repeat(200), "é".repeat(201));
        assert_eq!(shown(&most), most);
        let [cut, other] = [more.clone(), format!("{more}x")].map(|name| shown(&name).into_owned());
        assert!(cut.chars().count() == 200 && cut.starts_with("éé") && cut != other, "{cut} {other}");
        assert_eq!(shown(&cut), cut);
    }
}
