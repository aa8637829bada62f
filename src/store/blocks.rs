//! [`Blocks`]: a list that is kept in blocks of one size.
//!
//! A difference of thousands of series is dropped minutes after it was made, and there is one at each tick. Were it one piece of
//! hundreds of kilobytes, smaller pieces that live longer would settle in what it leaves, the next one would not fit there any more,
//! and the process would grow while nothing more is kept. A block fits where any other was. The invariant that a change could break:
//! every block but the last one is full.

/// Items of a block. A multiple of [`AHEAD`](super::counts::AHEAD).
const BLOCK: usize = 128;

#[derive(Clone, Debug)]
pub(super) struct Blocks<T> {
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<T> Blocks<T> {
    pub(super) fn len(&self) -> usize {
        let full = self.blocks.len().saturating_sub(1);
        full * BLOCK + self.blocks.last().map_or(0, Vec::len)
    }

    pub(super) fn push(&mut self, item: T) {
        match self.blocks.last_mut() {
            Some(last) if last.len() < BLOCK => last.push(item),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(item);
                self.blocks.push(block);
            }
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.blocks.get(place / BLOCK)?.get(place % BLOCK)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.blocks.last_mut()?.last_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.blocks.iter().flatten()
    }

    /// Returns the items in groups of `size`, which divides a block.
    pub(super) fn chunks(&self, size: usize) -> impl Iterator<Item = &[T]> {
        self.blocks.iter().flat_map(move |block| block.chunks(size))
    }

    /// Returns the place of the item with a key, in a list that is sorted by it.
    pub(super) fn place_of<K: Ord>(&self, key: &K, key_of: impl Fn(&T) -> K) -> Option<usize> {
        let after = self.blocks.partition_point(|block| block.first().is_some_and(|first| key_of(first) <= *key));
        let number = after.checked_sub(1)?;
        let place = self.blocks[number].binary_search_by_key(key, key_of).ok()?;
        Some(number * BLOCK + place)
    }

    /// Gives back what the last block does not need.
    pub(super) fn fit(&mut self) {
        self.blocks.last_mut().into_iter().for_each(Vec::shrink_to_fit);
        self.blocks.shrink_to_fit();
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.blocks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.blocks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::counts::AHEAD;

    #[test]
    fn a_list_of_any_length_reads_as_it_was_written() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7] {
            let mut blocks = Blocks::default();
            // Odd numbers: the even ones are in no list.
            (0..length).for_each(|place| blocks.push(2 * place + 1));
            blocks.fit();
            let expected: Vec<usize> = (0..length).map(|place| 2 * place + 1).collect();
            assert_eq!(blocks.len(), length);
            assert_eq!(blocks.iter().copied().collect::<Vec<_>>(), expected);
            // Also across blocks: their places are counted so.
            assert!(blocks.chunks(AHEAD).eq(expected.chunks(AHEAD)));
            assert_eq!(blocks.last_mut().copied(), expected.last().copied());
            for place in 0..length + 2 {
                assert_eq!(blocks.get(place), expected.get(place));
                assert_eq!(blocks.place_of(&(2 * place + 1), |item| *item), (place < length).then_some(place));
                assert_eq!(blocks.place_of(&(2 * place), |item| *item), None);
            }
            assert!(blocks.bytes() >= length * size_of::<usize>());
        }
    }
}
