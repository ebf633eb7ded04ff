//! The body of an answer: whole, or broken off in the middle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// A body of known length, which may end before it.
#[derive(Debug)]
pub struct Outgoing {
    length: u64,
    left: Option<Bytes>,
    cut: bool,
}

impl Outgoing {
    /// All of it.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, left: Some(bytes.into()), cut: false }
    }

    /// The first half of it; then the connection breaks.
    pub fn cut(mut bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
        Self { length, left: Some(bytes.into()), cut: true }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.left.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.cut => Poll::Ready(Some(Err(io::Error::other("the answer breaks off")))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
