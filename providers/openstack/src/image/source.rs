//! Reads the source of an image: whether it has changed, and its bytes in chunks.
//!
//! A source is never held in memory as a whole: whatever its size, one chunk is under way.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use reqwest::{Response, header};
use tokio::io::AsyncReadExt;
use url::Url;
use vcycle_api::Timestamp;

use super::format::HEAD_BYTES;
use super::reference::Source;
use super::trouble::Trouble;

/// Bytes that are read from a file at once.
const CHUNK: usize = 256 * 1024;

/// A file server that does not answer for this long is taken for dead.
const FILE_PATIENCE: Duration = Duration::from_secs(20);

/// A web server that sends nothing for this long is taken for dead.
const WEB_PATIENCE: Duration = Duration::from_secs(60);

/// What tells one version of a source from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its size.
    pub(crate) bytes: u64,
    /// The `ETag` of a web server.
    pub(crate) etag: Option<String>,
    /// When it was changed: a file's time, or `Last-Modified` of a web server.
    pub(crate) modified: Option<String>,
}

impl Stamp {
    /// Whether both are of the same version. Servers that stand for one another may give different
    /// tags, or different times, to the same file, so one of the two is enough.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let nothing_told = [self, other].iter().all(|s| s.etag.is_none() && s.modified.is_none());
        self.bytes == other.bytes
            && (same(&self.etag, &other.etag)
                || same(&self.modified, &other.modified)
                || nothing_told)
    }
}

/// The chunks of a source, in their order.
pub(crate) type Chunks = BoxStream<'static, io::Result<Vec<u8>>>;

/// A source that is being read.
pub(crate) struct Opened {
    /// Which version it is.
    pub(crate) stamp: Stamp,
    /// Its first bytes, enough to tell the format.
    pub(crate) head: Vec<u8>,
    /// All of it, the head included. Ends with an error if it is not as long as the stamp says.
    pub(crate) chunks: Chunks,
}

/// What fetches from web servers: not the session, whose token and authorities are the cloud's.
pub(crate) fn web() -> Result<reqwest::Client, reqwest::Error> {
    let agent = concat!("vcycle/", env!("CARGO_PKG_VERSION"));
    reqwest::Client::builder()
        .user_agent(agent)
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(WEB_PATIENCE)
        .build()
}

/// Which version there is now.
pub(crate) async fn stamp(source: &Source, web: &reqwest::Client) -> Result<Stamp, Trouble> {
    match source {
        Source::File(path) => within(source, stamp_of_file(path)).await,
        Source::Url(url) => {
            let reply = web.head(url.clone()).timeout(WEB_PATIENCE).send().await;
            let reply = reply.map_err(|e| unreachable_source(source, e))?;
            // Links to stores may be signed for GET alone; some servers know no HEAD.
            if matches!(reply.status().as_u16(), 403 | 405 | 501) {
                return stamp_of_reply(source, &fetch(source, url, web).await?);
            }
            stamp_of_reply(source, &accepted(source, reply)?)
        }
    }
}

/// Begins to read.
pub(crate) async fn open(source: &Source, web: &reqwest::Client) -> Result<Opened, Trouble> {
    let (stamp, mut chunks) = match source {
        Source::File(path) => {
            let stamp = within(source, stamp_of_file(path)).await?;
            let file = within(source, tokio::fs::File::open(path)).await?;
            (stamp, chunks_of_file(file))
        }
        Source::Url(url) => {
            let reply = fetch(source, url, web).await?;
            (stamp_of_reply(source, &reply)?, chunks_of_reply(reply))
        }
    };
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES {
        match chunks.next().await {
            Some(Ok(chunk)) => head.extend(chunk),
            Some(Err(error)) => return Err(Trouble::for_now(format!("read {source}: {error}"))),
            None => break,
        }
    }
    let first = head.clone();
    let all = stream::once(async move { Ok(first) }).chain(chunks);
    let chunks = as_long_as(stamp.bytes, all.boxed());
    Ok(Opened { stamp, head, chunks })
}

/// A body that ended early must not look complete to Glance, so its end is then an error.
fn as_long_as(bytes: u64, chunks: Chunks) -> Chunks {
    let state = (chunks, Some(bytes));
    let checked = stream::unfold(state, |(mut chunks, left)| async move {
        let left = left?;
        match chunks.next().await {
            Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Some((Ok(chunk), (chunks, Some(left)))),
                None => Some((Err(io::Error::other("it became longer")), (chunks, None))),
            },
            Some(Err(error)) => Some((Err(error), (chunks, None))),
            None if left == 0 => None,
            None => {
                let short = io::Error::new(io::ErrorKind::UnexpectedEof, "it ended early");
                Some((Err(short), (chunks, None)))
            }
        }
    });
    checked.boxed()
}

async fn within<T>(
    source: &Source,
    reading: impl Future<Output = io::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(FILE_PATIENCE, reading).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Trouble::until_mended(format!("read {source}: {error}"))),
        Err(_) => Err(Trouble::for_now(format!("read {source}: the file server does not answer"))),
    }
}

async fn stamp_of_file(path: &Path) -> io::Result<Stamp> {
    let about = tokio::fs::metadata(path).await?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let modified = Timestamp::from_system(about.modified()?).to_string();
    Ok(Stamp { bytes: about.len(), etag: None, modified: Some(modified) })
}

fn chunks_of_file(file: tokio::fs::File) -> Chunks {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        Ok((read > 0).then_some((chunk, file)))
    })
    .boxed()
}

fn chunks_of_reply(reply: Response) -> Chunks {
    stream::try_unfold(reply, |mut reply| async move {
        let chunk = reply.chunk().await.map_err(|e| io::Error::other(chain(&e.without_url())))?;
        Ok(chunk.map(|chunk| (Vec::from(chunk), reply)))
    })
    .boxed()
}

async fn fetch(source: &Source, url: &Url, web: &reqwest::Client) -> Result<Response, Trouble> {
    let reply = web.get(url.clone()).send().await;
    accepted(source, reply.map_err(|e| unreachable_source(source, e))?)
}

fn accepted(source: &Source, reply: Response) -> Result<Response, Trouble> {
    let status = reply.status();
    if status.is_success() {
        return Ok(reply);
    }
    let why = format!("fetch {source}: the server answers {status}");
    Err(if status.is_client_error() && status.as_u16() != 429 {
        Trouble::until_mended(why)
    } else {
        Trouble::for_now(why)
    })
}

fn stamp_of_reply(source: &Source, reply: &Response) -> Result<Stamp, Trouble> {
    let text = |name: header::HeaderName| {
        let value = reply.headers().get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    // Not `content_length()`: of the answer to HEAD that is the length of its empty body.
    let bytes = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let bytes = bytes.ok_or_else(|| {
        Trouble::until_mended(format!(
            "fetch {source}: the server does not tell the size (Content-Length); use a server of plain \
             files, or a file of this host"
        ))
    })?;
    Ok(Stamp { bytes, etag: text(header::ETAG), modified: text(header::LAST_MODIFIED) })
}

fn unreachable_source(source: &Source, error: reqwest::Error) -> Trouble {
    Trouble::for_now(format!("fetch {source}: {}", chain(&error.without_url())))
}

/// An error with its causes: reqwest shows only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp_with(etag: Option<&str>, modified: Option<&str>) -> Stamp {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Stamp { bytes: 7, etag: own(etag), modified: own(modified) }
    }

    #[test]
    fn one_mark_in_common_is_the_same_version_and_another_size_never_is() {
        let a = stamp_with(Some("x"), Some("monday"));
        assert!(a.is_same(&stamp_with(Some("x"), Some("tuesday"))));
        assert!(a.is_same(&stamp_with(Some("y"), Some("monday"))));
        assert!(!a.is_same(&stamp_with(Some("y"), Some("tuesday"))));
        assert!(!a.is_same(&stamp_with(None, None)));
        assert!(stamp_with(None, None).is_same(&stamp_with(None, None)));
        assert!(!a.is_same(&Stamp { bytes: 8, ..a.clone() }));
    }

    async fn read_all(mut chunks: Chunks) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            all.extend(chunk?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_file_is_read_whole_with_its_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.img");
        let content: Vec<u8> = (0..CHUNK * 2 + 5).map(|i| u8::try_from(i % 251).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let opened = open(&Source::File(path), &web().unwrap()).await.unwrap();
        assert_eq!(opened.stamp.bytes, content.len() as u64);
        assert_eq!(opened.head, content[..CHUNK]);
        assert!(read_all(opened.chunks).await.unwrap() == content);
    }

    #[tokio::test]
    async fn a_source_that_ends_early_or_grows_ends_with_an_error() {
        let chunks = |parts: &'static [&'static [u8]]| {
            stream::iter(parts.iter().map(|part| Ok(part.to_vec()))).boxed()
        };
        assert_eq!(read_all(as_long_as(4, chunks(&[b"ab", b"cd"]))).await.unwrap(), b"abcd");
        let early = read_all(as_long_as(5, chunks(&[b"ab", b"cd"]))).await.unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::UnexpectedEof);
        let longer = read_all(as_long_as(3, chunks(&[b"ab", b"cd"]))).await.unwrap_err();
        assert_eq!(longer.to_string(), "it became longer");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named_and_somebody_has_to_mend_it() {
        let source = Source::File("/nowhere/x.img".into());
        let trouble = stamp(&source, &web().unwrap()).await.unwrap_err();
        assert_eq!(trouble.lasts, super::super::trouble::Lasts::UntilMended);
        assert!(trouble.why.starts_with("read /nowhere/x.img: No such file"), "{trouble}");
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_reached_is_no_news_of_the_image_and_shows_no_secret() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = format!("http://me:hunter2@{address}/x.img?sig=abc").parse().unwrap();
        let trouble = stamp(&Source::Url(url), &web().unwrap()).await.unwrap_err();
        assert_eq!(trouble.lasts, super::super::trouble::Lasts::ForNow);
        assert!(trouble.why.contains("/x.img"), "{trouble}");
        assert!(!trouble.why.contains("hunter2") && !trouble.why.contains("sig="), "{trouble}");
    }
}
