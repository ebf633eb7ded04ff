//! A server that knows nothing but recorded exchanges.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::common::Capture;

/// Port of each recorded service, and its path here.
const SERVICES: [(&str, &str); 5] = [
    ("http://127.0.0.1:15000", "/identity"),
    ("http://127.0.0.1:18774", "/compute"),
    ("http://127.0.0.1:19292", "/image"),
    ("http://127.0.0.1:19696", "/network"),
    ("http://127.0.0.1:18776", "/volume"),
];

/// An exchange that may be played.
#[derive(Debug)]
struct Scene {
    capture: Capture,
    played: usize,
}

#[derive(Debug, Default)]
struct Stage {
    base: String,
    scenes: Vec<Scene>,
    unknown: Vec<String>,
}

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Replay {
    stage: Arc<Mutex<Stage>>,
    base: String,
    task: JoinHandle<()>,
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Path and marker of a recorded or a real address, without the rest of the query.
fn place(path_and_query: &str) -> (String, Option<String>) {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let marker = query.split('&').find_map(|pair| pair.strip_prefix("marker="));
    (path.trim_end_matches('/').to_owned(), marker.map(str::to_owned))
}

fn recorded_place(url: &str) -> (String, Option<String>) {
    let service =
        SERVICES.iter().find_map(|(address, path)| Some((url.strip_prefix(address)?, path)));
    let (rest, path) = service.expect("the service is known");
    place(&format!("{path}{rest}"))
}

impl Stage {
    /// The first fitting exchange that was not played yet; when all were, the last of them again.
    fn answer(&mut self, method: &str, path_and_query: &str) -> Option<Capture> {
        let wanted = place(path_and_query);
        let fits = |scene: &&mut Scene| {
            let asked = &scene.capture.request;
            asked.method == method && recorded_place(&asked.url) == wanted
        };
        let mut fitting: Vec<&mut Scene> = self.scenes.iter_mut().filter(fits).collect();
        let fresh = fitting.iter().position(|scene| scene.played == 0);
        let chosen = fresh.unwrap_or(fitting.len().checked_sub(1)?);
        fitting[chosen].played += 1;
        Some(fitting[chosen].capture.clone())
    }

    fn text(&self, recorded: &str) -> String {
        let mut text = recorded.to_owned();
        for (address, path) in SERVICES {
            text = text.replace(address, &format!("{}{path}", self.base));
        }
        text
    }
}

async fn serve(State(stage): State<Arc<Mutex<Stage>>>, request: Request<Body>) -> Response<Body> {
    let mut stage = stage.lock().unwrap();
    let asked = request.uri().path_and_query().unwrap().to_string();
    let Some(capture) = stage.answer(request.method().as_str(), &asked) else {
        stage.unknown.push(format!("{} {asked}", request.method()));
        // None of the statuses that a service or a proxy uses.
        return Response::builder().status(599).body(Body::empty()).unwrap();
    };
    let mut builder = Response::builder().status(capture.response.status);
    for (name, value) in &capture.response.headers {
        let connection = ["content-length", "connection", "transfer-encoding"];
        if !connection.contains(&name.to_lowercase().as_str()) {
            builder = builder.header(name, stage.text(value));
        }
    }
    let body = match &capture.response.body {
        serde_json::Value::String(text) => text.clone(),
        body => stage.text(&body.to_string()),
    };
    builder.body(Body::from(body)).unwrap()
}

impl Replay {
    /// Serves these exchanges.
    pub(crate) async fn start(captures: Vec<Capture>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let scenes = captures.into_iter().map(|capture| Scene { capture, played: 0 }).collect();
        let stage = Stage { base: base.clone(), scenes, unknown: Vec::new() };
        let stage = Arc::new(Mutex::new(stage));
        let router = Router::new().fallback(serve).with_state(Arc::clone(&stage));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { stage, base, task }
    }

    pub(crate) fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.base)
    }

    /// Requests that no exchange fits.
    pub(crate) fn unknown(&self) -> Vec<String> {
        self.stage.lock().unwrap().unknown.clone()
    }

    /// Exchanges that nobody asked for.
    pub(crate) fn unplayed(&self) -> Vec<String> {
        let stage = self.stage.lock().unwrap();
        let unplayed = stage.scenes.iter().filter(|scene| scene.played == 0);
        unplayed.map(|scene| scene.capture.name.clone()).collect()
    }
}
