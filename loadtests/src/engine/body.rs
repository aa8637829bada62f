//! [`ReceivedBody`]: counts the bytes of a body as they arrive, and keeps what a scenario may look at.
//!
//! reqwest would decode a compressed body and hide how long it was on the wire. Each piece is decoded only once the next one
//! has arrived, and the last one after its time was taken: decoding is work of the tool and not of the service.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// The part of a body that a scenario may look at, 4 MiB. The rest is read and counted, so that a large download does not
/// fill the generator's memory.
const MOST_KEPT: usize = 4 << 20;

/// A body that is being received.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    /// Bytes on the wire.
    received: u64,
    decoder: Decoder,
    /// The piece that arrived last.
    pending: Option<Bytes>,
}

#[derive(Debug)]
enum Decoder {
    Identity(KeptBody),
    Gzip(Box<MultiGzDecoder<KeptBody>>),
    /// What arrived is not what its header says.
    Broken(KeptBody, String),
}

/// A decoded body, or its start.
#[derive(Debug, Default)]
pub(super) struct KeptBody {
    /// Whether anything is kept.
    pub(super) keeps: bool,
    /// Bytes after decoding, kept or not.
    pub(super) length: u64,
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` holds only the start.
    pub(super) is_cut: bool,
}

/// A body that was received, to its end or not.
#[derive(Debug, Default)]
pub(super) struct FinishedBody {
    /// Bytes on the wire.
    pub(super) received: u64,
    /// Bytes after decoding, if it was compressed.
    pub(super) decoded: Option<u64>,
    pub(super) kept: KeptBody,
    /// Why a complete body cannot be decoded.
    pub(super) problem: Option<String>,
}

impl ReceivedBody {
    /// Begins a body. `keeps` is whether something will look at it.
    pub(super) fn new(is_gzip: bool, keeps: bool) -> Self {
        let kept = KeptBody { keeps, ..KeptBody::default() };
        let decoder =
            if is_gzip { Decoder::Gzip(Box::new(MultiGzDecoder::new(kept))) } else { Decoder::Identity(kept) };
        Self { received: 0, decoder, pending: None }
    }

    /// Adds the next piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        if let Some(before) = self.pending.replace(piece) {
            self.decode(&before);
        }
    }

    fn decode(&mut self, piece: &[u8]) {
        let problem = match &mut self.decoder {
            Decoder::Identity(kept) => {
                kept.take(piece);
                return;
            }
            Decoder::Gzip(decoder) => match decoder.write_all(piece) {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
            Decoder::Broken(..) => return,
        };
        self.fail(problem);
    }

    fn fail(&mut self, problem: String) {
        if let Decoder::Gzip(decoder) = &mut self.decoder {
            let kept = std::mem::take(decoder.get_mut());
            self.decoder = Decoder::Broken(kept, problem);
        }
    }

    /// Ends the body.
    pub(super) fn finish(mut self) -> FinishedBody {
        if let Some(last) = self.pending.take() {
            self.decode(&last);
        }
        // A response to HEAD has the header of the body that it does not have.
        if self.received > 0
            && let Decoder::Gzip(decoder) = &mut self.decoder
            && let Err(error) = decoder.try_finish()
        {
            self.fail(error.to_string());
        }
        let received = self.received;
        match self.decoder {
            Decoder::Identity(kept) => FinishedBody { received, kept, ..FinishedBody::default() },
            Decoder::Gzip(mut decoder) => {
                let kept = std::mem::take(decoder.get_mut());
                FinishedBody { received, decoded: Some(kept.length), kept, problem: None }
            }
            Decoder::Broken(kept, problem) => {
                FinishedBody { received, decoded: Some(kept.length), kept, problem: Some(problem) }
            }
        }
    }
}

impl KeptBody {
    fn take(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        if self.keeps && !self.is_cut {
            let room = MOST_KEPT - self.bytes.len();
            self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            self.is_cut = piece.len() > room;
        }
    }
}

impl Write for KeptBody {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.take(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn compressed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn received(is_gzip: bool, pieces: &[&[u8]]) -> FinishedBody {
        let mut body = ReceivedBody::new(is_gzip, true);
        pieces.iter().for_each(|piece| body.push(Bytes::copy_from_slice(piece)));
        body.finish()
    }

    #[test]
    fn both_lengths_of_a_compressed_body_are_counted() {
        let text = "tea ".repeat(1000);
        let wire = compressed(&text);
        for pieces in [vec![wire.as_slice()], wire.chunks(7).collect()] {
            let body = received(true, &pieces);
            assert_eq!((body.received, body.decoded, body.problem), (wire.len() as u64, Some(4000), None));
            assert_eq!(body.kept.bytes, text.as_bytes());
        }
        let plain = received(false, &[b"tea ", b"time"]);
        assert_eq!((plain.received, plain.decoded, plain.kept.bytes), (8, None, b"tea time".to_vec()));
    }

    #[test]
    fn a_body_that_is_not_what_it_says_has_a_problem() {
        let wire = compressed("tea time");
        let cut = received(true, &[&wire[..wire.len() - 3]]);
        assert!(cut.problem.is_some(), "{cut:?}");
        assert!(received(true, &[b"no gzip at all", b"and more"]).problem.is_some());
        let none = received(true, &[]);
        assert_eq!((none.received, none.problem), (0, None));
    }

    #[test]
    fn what_is_past_the_limit_is_counted_and_not_kept() {
        let piece = vec![b'x'; MOST_KEPT];
        let body = received(false, &[&piece, b"more"]);
        assert_eq!((body.received, body.kept.bytes.len(), body.kept.is_cut), (MOST_KEPT as u64 + 4, MOST_KEPT, true));
    }
}
