//! Product photos and their softened thumbnails: the work of a background task.
//!
//! Both ways of softening return the same pixels, bit for bit; only their cost differs. Tests compare them.

/// Width and height of a photo, in pixels: few enough that the good way is quick in a debug build on a slow machine too.
const PHOTO: usize = 512;
/// Width and height of a thumbnail, in pixels.
const THUMBNAIL: usize = 160;

/// A square picture of grey pixels.
#[derive(Debug)]
pub(crate) struct Photo(Vec<u8>);

impl Photo {
    /// Returns the photo of a product: made up, and the same each time.
    pub(crate) fn of(product_id: i64) -> Self {
        let twist = product_id as usize % 251 + 3;
        Self((0..PHOTO * PHOTO).map(|at| ((at % PHOTO) * (at / PHOTO) / twist + at % twist) as u8).collect())
    }

    /// Returns the thumbnail, each pixel the mean of a square `window` of the photo, by adding up each window anew:
    /// the time grows with the square of `window`.
    pub(crate) fn thumbnail_by_windows(&self, window: usize) -> Vec<u8> {
        thumbnail(window, |left, top, right, bottom| {
            (top..bottom)
                .map(|y| self.0[y * PHOTO + left..y * PHOTO + right].iter().map(|pixel| u64::from(*pixel)).sum::<u64>())
                .sum()
        })
    }

    /// Returns the same thumbnail from a table of sums: the time does not depend on `window`.
    pub(crate) fn thumbnail_by_sums(&self, window: usize) -> Vec<u8> {
        const WIDTH: usize = PHOTO + 1;
        // A white photo sums up to 255 * 512 * 512, which fits.
        let mut sums = vec![0u32; WIDTH * WIDTH];
        for y in 0..PHOTO {
            let mut row = 0;
            for x in 0..PHOTO {
                row += u32::from(self.0[y * PHOTO + x]);
                sums[(y + 1) * WIDTH + x + 1] = sums[y * WIDTH + x + 1] + row;
            }
        }
        thumbnail(window, |left, top, right, bottom| {
            let sum = |x: usize, y: usize| u64::from(sums[y * WIDTH + x]);
            sum(right, bottom) + sum(left, top) - sum(right, top) - sum(left, bottom)
        })
    }
}

/// Builds the thumbnail's pixels from a function that adds up the photo's pixels in (left, top, right, bottom).
fn thumbnail(window: usize, sum: impl Fn(usize, usize, usize, usize) -> u64) -> Vec<u8> {
    let reach = (window / 2).max(1);
    let span = |at: usize| {
        let centre = at * PHOTO / THUMBNAIL;
        (centre.saturating_sub(reach), (centre + reach).min(PHOTO))
    };
    (0..THUMBNAIL * THUMBNAIL)
        .map(|at| {
            let ((left, right), (top, bottom)) = (span(at % THUMBNAIL), span(at / THUMBNAIL));
            (sum(left, top, right, bottom) / ((right - left) * (bottom - top)) as u64) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_thumbnail() {
        for window in [0, 2, 7, 20] {
            let photo = Photo::of(7);
            assert_eq!(photo.thumbnail_by_windows(window), photo.thumbnail_by_sums(window), "window {window}");
        }
    }

    #[test]
    fn a_photo_is_not_blank() {
        let thumbnail = Photo::of(1).thumbnail_by_sums(4);
        assert!(thumbnail.iter().any(|pixel| *pixel != thumbnail[0]));
    }
}
