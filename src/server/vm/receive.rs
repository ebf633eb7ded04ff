//! Receives the body of an upload: at most `limit` bytes, in memory that is bounded for all
//! uploads together, and only as a whole. A body that ends early is an error, never a short file.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::context::UPLOAD_MEMORY_KIB;

/// Uploads up to this size always find memory: heartbeats and last words must get through when
/// others send large logs.
const SMALL: u64 = 64 * 1024;
/// Why there is no content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// More than the limit.
    TooLarge,
    /// No memory left for it now.
    Busy,
    /// The client broke off, or sent nonsense.
    Broken,
}

/// A whole body, with its part of the memory.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) content: Vec<u8>,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Whether the body says by itself that it is too large.
pub(super) fn declared_too_large(body: &Body, limit: u64) -> bool {
    body.size_hint().lower() > limit
}

/// Receives a whole body.
pub(super) async fn receive(
    body: &mut Body,
    limit: u64,
    memory: &Arc<Semaphore>,
) -> Result<Received, Refused> {
    if declared_too_large(body, limit) {
        return Err(Refused::TooLarge);
    }
    let mut content: Vec<u8> = Vec::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = next_chunk(body).await? {
        let size = content.len() + chunk.len();
        if u64::try_from(size).unwrap_or(u64::MAX) > limit {
            return Err(Refused::TooLarge);
        }
        hold(&mut held, size, memory)?;
        content.extend_from_slice(&chunk);
    }
    Ok(Received { content, _memory: held })
}

/// The next data; trailers are passed over. `None`: the body is complete.
async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refused::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Sees to it that `size` bytes are accounted for. Never waits: uploads that wait for each other's
/// memory would all time out.
fn hold(
    held: &mut Option<OwnedSemaphorePermit>,
    size: usize,
    memory: &Arc<Semaphore>,
) -> Result<(), Refused> {
    if u64::try_from(size).unwrap_or(u64::MAX) <= SMALL {
        return Ok(());
    }
    let wanted = size.div_ceil(1024).min(UPLOAD_MEMORY_KIB);
    let have = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let more = u32::try_from(wanted.saturating_sub(have)).unwrap_or(u32::MAX);
    if more == 0 {
        return Ok(());
    }
    let permit = Arc::clone(memory).try_acquire_many_owned(more).map_err(|_| Refused::Busy)?;
    match held {
        Some(held) => held.merge(permit),
        None => *held = Some(permit),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    fn chunks(sizes: &[usize]) -> Body {
        let chunks: Vec<Result<Bytes, Infallible>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    fn memory(kib: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(kib))
    }

    #[tokio::test]
    async fn a_body_of_just_the_limit_is_received_and_one_more_byte_is_not() {
        let got = receive(&mut chunks(&[3, 4]), 7, &memory(10)).await.unwrap();
        assert_eq!(got.content, b"xxxxxxx");
        let refused = receive(&mut chunks(&[3, 5]), 7, &memory(10)).await.unwrap_err();
        assert_eq!(refused, Refused::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_declares_too_much_is_refused_unread() {
        let mut body = Body::from(vec![0; 100]);
        assert!(declared_too_large(&body, 99) && !declared_too_large(&body, 100));
        assert_eq!(receive(&mut body, 99, &memory(10)).await.unwrap_err(), Refused::TooLarge);
        assert_eq!(body.size_hint().lower(), 100, "nothing of it was read");
    }

    #[tokio::test]
    async fn large_uploads_share_bounded_memory_and_small_ones_always_get_through() {
        let memory = memory(100);
        let large = receive(&mut chunks(&[50_000, 40_000]), 1 << 20, &memory).await.unwrap();
        assert_eq!(memory.available_permits(), 100 - 88, "90,000 bytes are 88 kibibytes");
        let second = receive(&mut chunks(&[50_000, 40_000]), 1 << 20, &memory).await;
        assert_eq!(second.unwrap_err(), Refused::Busy);
        let heartbeat = receive(&mut chunks(&[40]), 1 << 20, &memory).await.unwrap();
        assert_eq!(heartbeat.content.len(), 40);
        drop(large);
        assert_eq!(memory.available_permits(), 100, "everything was given back");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_content() {
        let parts: Vec<Result<Bytes, std::io::Error>> =
            vec![Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))];
        let mut body = Body::from_stream(stream::iter(parts));
        assert_eq!(receive(&mut body, 100, &memory(10)).await.unwrap_err(), Refused::Broken);
    }
}
