//! A Glance for the tests of images, with a Keystone that takes everybody, a web server, and Nova's list of
//! servers. Unlike the fake cloud it takes uploads as a stream, keeps none of it, and can be
//! stopped in the middle of one; an id of an image is used up for ever, as in a real Glance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use futures::StreamExt;
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use tokio::sync::Semaphore;

use crate::image::reference::hex;

pub(super) const PROJECT: &str = "b75d58f2d72a492682abe0b70b498e57";

/// What becomes of the next upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The connection breaks off after the first bytes.
    Breaks,
    /// Something else is stored.
    Corrupt,
    /// Stored, but the reply is lost.
    ReplyLost,
    /// Refused for the quota.
    TooMuch,
}

/// A file of the web server.
#[derive(Debug, Clone)]
pub(super) struct WebFile {
    pub(super) content: Vec<u8>,
    pub(super) etag: String,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) images: BTreeMap<String, Value>,
    used_up: BTreeSet<String>,
    pub(super) fates: Vec<Fate>,
    /// The next create is carried out and its reply lost.
    pub(super) lose_next_create: bool,
    /// It is older than Rocky: the MD5 is all that it tells of what is in an image.
    pub(super) is_old: bool,
    /// Images that servers were made from.
    pub(super) in_use: BTreeSet<String>,
    pub(super) web: Option<WebFile>,
    pub(super) asked: Vec<String>,
    now: i64,
    uploading: usize,
    pub(super) most_uploading: usize,
}

pub(super) struct Glance {
    pub(super) world: Mutex<World>,
    /// Bytes that uploads may bring in: a test that holds them back sees how much is read ahead.
    pub(super) may_take: Semaphore,
    base: String,
}

impl Glance {
    /// Takes uploads as they come.
    pub(super) async fn start() -> Arc<Self> {
        Self::start_taking(Semaphore::MAX_PERMITS).await
    }

    /// Takes so many bytes of uploads, until more are allowed.
    pub(super) async fn start_taking(bytes: usize) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let glance =
            Arc::new(Self { world: Mutex::default(), may_take: Semaphore::new(bytes), base });
        let app = Router::new()
            .route("/v3/auth/tokens", post(login))
            .route("/v2/images", get(list).post(create))
            .route("/v2/images/{id}", get(show).delete(remove))
            .route("/v2/images/{id}/file", put(fill))
            .route("/v2.1/servers", get(servers))
            .route("/web/x.img", get(fetch))
            .with_state(Arc::clone(&glance));
        tokio::spawn(async { axum::serve(listener, app).await });
        glance
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(super) fn auth_url(&self) -> String {
        format!("{}/v3", self.base)
    }

    pub(super) fn web_url(&self) -> String {
        format!("{}/web/x.img", self.base)
    }

    /// How often this was asked, for example `PUT file`.
    pub(super) fn count(&self, what: &str) -> usize {
        self.world().asked.iter().filter(|asked| *asked == what).count()
    }

    /// Status of each image, with its id.
    pub(super) fn statuses(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let world = self.world();
        world.images.values().map(|image| (text(&image["id"]), text(&image["status"]))).collect()
    }

    /// An image that somebody else has put there, youngest of all.
    pub(super) fn put(&self, id: &str, name: &str, status: &str) {
        let mut world = self.world();
        world.now += 1;
        let (created, now) = (at(world.now), world.now);
        let image = json!({ "id": id, "name": name, "status": status, "owner": PROJECT,
                            "created_at": created, "size": now });
        world.images.insert(id.to_owned(), image);
    }
}

fn at(second: i64) -> String {
    jiff::Timestamp::from_second(1_700_000_000 + second).unwrap().to_string()
}

type Shared = State<Arc<Glance>>;

fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({ "message": message, "code": status.to_string(), "title": "x" });
    (status, axum::Json(body)).into_response()
}

/// A body that ends with an error closes the connection: the reply is lost.
fn lost() -> Response {
    let chunks = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("lost"))]);
    Response::builder().status(200).body(Body::from_stream(chunks)).unwrap()
}

async fn login(State(glance): Shared) -> Response {
    let endpoint = |kind: &str, url: String| {
        let endpoints =
            json!([{ "interface": "public", "region": "R", "region_id": "R", "url": url }]);
        json!({ "type": kind, "name": kind, "id": kind, "endpoints": endpoints })
    };
    let base = &glance.base;
    let catalog = [
        endpoint("image", base.clone()),
        endpoint("compute", format!("{base}/v2.1")),
        endpoint("identity", glance.auth_url()),
    ];
    let domain = json!({ "id": "default", "name": "Default" });
    let token = json!({ "token": {
        "methods": ["password"], "expires_at": "2100-01-01T00:00:00.000000Z",
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "user": { "id": "u", "name": "ann", "domain": domain },
        "project": { "id": PROJECT, "name": "p", "domain": domain },
        "roles": [{ "id": "m", "name": "member" }], "catalog": catalog } });
    (StatusCode::CREATED, [("x-subject-token", "secret")], axum::Json(token)).into_response()
}

async fn list(
    State(glance): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> axum::Json<Value> {
    let mut world = glance.world();
    world.asked.push("GET images".to_owned());
    let matches = |image: &&Value| {
        query.iter().all(|(key, value)| match key.as_str() {
            "limit" | "marker" => true,
            key => image[key] == *value,
        })
    };
    let images: Vec<&Value> = world.images.values().filter(matches).collect();
    axum::Json(json!({ "images": images, "first": "/v2/images" }))
}

async fn create(State(glance): Shared, axum::Json(mut image): axum::Json<Value>) -> Response {
    let mut world = glance.world();
    world.asked.push("POST images".to_owned());
    let id = image["id"].as_str().unwrap().to_owned();
    if !world.used_up.insert(id.clone()) {
        return refusal(StatusCode::CONFLICT, "Image ID already exists!");
    }
    world.now += 1;
    image["created_at"] = at(world.now).into();
    image["owner"] = PROJECT.into();
    image["status"] = "queued".into();
    world.images.insert(id, image.clone());
    if std::mem::take(&mut world.lose_next_create) {
        return lost();
    }
    (StatusCode::CREATED, axum::Json(image)).into_response()
}

async fn show(State(glance): Shared, Path(id): Path<String>) -> Response {
    let mut world = glance.world();
    world.asked.push("GET image".to_owned());
    match world.images.get(&id) {
        Some(image) => axum::Json(image.clone()).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "No image found"),
    }
}

async fn remove(State(glance): Shared, Path(id): Path<String>) -> Response {
    let mut world = glance.world();
    world.asked.push("DELETE image".to_owned());
    match world.images.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => refusal(StatusCode::NOT_FOUND, "No image found"),
    }
}

/// As Glance: `saving` while data comes in, `queued` again when it breaks off.
async fn fill(
    State(glance): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if headers.get("content-type").is_none_or(|kind| kind != "application/octet-stream") {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not octets");
    }
    let fate = {
        let mut world = glance.world();
        world.asked.push("PUT file".to_owned());
        if world.images.get(&id).is_none_or(|image| image["status"] != "queued") {
            return refusal(StatusCode::CONFLICT, "status transition is not allowed");
        }
        set(&mut world, &id, "status", "saving".into());
        world.uploading += 1;
        world.most_uploading = world.most_uploading.max(world.uploading);
        world.fates.pop()
    };
    // The connection may break at any await, as with a real Glance: then it is queued again.
    let mut filling = Filling { glance: Arc::clone(&glance), id: id.clone(), status: "queued" };
    if fate == Some(Fate::TooMuch) {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Image storage quota exceeded");
    }
    let (mut digest, mut md5) = (Sha512::new(), Md5::new());
    let (mut size, mut data) = (0_u64, body.into_data_stream());
    while let Some(chunk) = data.next().await {
        let Ok(chunk) = chunk else { return lost() };
        let permits = u32::try_from(chunk.len()).unwrap();
        glance.may_take.acquire_many(permits).await.unwrap().forget();
        digest.update(&chunk);
        md5.update(&chunk);
        size += chunk.len() as u64;
        if fate == Some(Fate::Breaks) {
            return lost();
        }
    }
    let (mut hash, mut checksum) = (hex(&digest.finalize(), 128), hex(&md5.finalize(), 32));
    if fate == Some(Fate::Corrupt) {
        (hash, checksum) = ("0".repeat(128), "0".repeat(32));
    }
    {
        let mut world = glance.world();
        set(&mut world, &id, "size", size.into());
        set(&mut world, &id, "checksum", checksum.into());
        if !world.is_old {
            set(&mut world, &id, "os_hash_algo", "sha512".into());
            set(&mut world, &id, "os_hash_value", hash.into());
        }
    }
    filling.status = "active";
    drop(filling);
    match fate {
        Some(Fate::ReplyLost) => lost(),
        Some(Fate::Breaks | Fate::Corrupt | Fate::TooMuch) | None => {
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// What becomes of an image when its upload ends, however that comes about.
struct Filling {
    glance: Arc<Glance>,
    id: String,
    status: &'static str,
}

impl Drop for Filling {
    fn drop(&mut self) {
        let mut world = self.glance.world();
        set(&mut world, &self.id, "status", self.status.into());
        world.uploading -= 1;
    }
}

fn set(world: &mut World, id: &str, key: &str, value: Value) {
    if let Some(image) = world.images.get_mut(id) {
        image[key] = value;
    }
}

async fn servers(
    State(glance): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> axum::Json<Value> {
    let used = query.get("image").is_some_and(|image| glance.world().in_use.contains(image));
    axum::Json(json!({ "servers": if used { vec![json!({ "id": "s" })] } else { vec![] } }))
}

/// For HEAD, too: axum leaves the body out then.
async fn fetch(State(glance): Shared, method: axum::http::Method) -> Response {
    let mut world = glance.world();
    world.asked.push(format!("{method} web"));
    match world.web.clone() {
        Some(WebFile { content, etag }) => ([("etag", etag)], Body::from(content)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
