//! The fake on a stage: recorded requests are put to it with its own tokens and ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vcycle_api::{ManualClock, Timestamp};
use vcycle_openstack::testing::{FakeCloud, Fate, NewServer, Site};

use super::compare::{Hosts, learn, normal_text};
use crate::common::{Capture, Response};

/// Port of each recorded service, its path on the fake, and the word for its address.
const SERVICES: [(&str, &str, &str); 5] = [
    ("http://127.0.0.1:15000", "/identity", "{keystone}"),
    ("http://127.0.0.1:18774", "/compute", "{nova}"),
    ("http://127.0.0.1:19292", "/image", "{glance}"),
    ("http://127.0.0.1:19696", "/network", "{neutron}"),
    ("http://127.0.0.1:18776", "/volume", "{cinder}"),
];

/// The fake, its clock, and what of it stands for what was recorded.
pub(crate) struct Stage {
    pub(crate) fake: FakeCloud,
    pub(crate) clock: Arc<ManualClock>,
    http: reqwest::Client,
    /// Recorded tokens and ids, and the fake's.
    tokens: BTreeMap<String, String>,
    pub(crate) ids: BTreeMap<String, String>,
}

impl Stage {
    /// A fake of this site, at this time.
    pub(crate) async fn new(site: Site, begin: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::at(begin));
        let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { fake, clock, http, tokens: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// The addresses in recorded texts.
    pub(crate) fn recorded_hosts(&self) -> Hosts {
        let mut hosts: Hosts =
            SERVICES.iter().map(|(address, _, word)| ((*address).into(), (*word).into())).collect();
        // Recorded placement has no path of its own on the fake.
        hosts.push(("http://127.0.0.1:18778".into(), "{placement}".into()));
        hosts
    }

    /// The addresses in the fake's texts.
    pub(crate) fn fake_hosts(&self) -> Hosts {
        let base = self.fake.base();
        let own = SERVICES.iter().map(|(_, path, word)| (format!("{base}{path}"), (*word).into()));
        own.chain([(format!("{base}/placement"), "{placement}".into())]).collect()
    }

    /// Logs in with a password; the token stands for a recorded one.
    pub(crate) async fn log_in(&mut self, project: &str, recorded: &str) {
        let user = json!({
            "name": format!("{project}-user"),
            "domain": { "id": "default" },
            "password": format!("{project}-secret"),
        });
        let identity = json!({ "methods": ["password"], "password": { "user": user } });
        let scope = json!({ "project": { "name": project, "domain": { "id": "default" } } });
        let body = json!({ "auth": { "identity": identity, "scope": scope } });
        let url = format!("{}/auth/tokens", self.fake.auth_url());
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let token = answer.headers()["x-subject-token"].to_str().unwrap();
        self.tokens.insert(recorded.to_owned(), token.to_owned());
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Removes all servers, as if nobody had made any.
    pub(crate) fn clear(&self) {
        for server in self.fake.servers() {
            self.fake.becomes(&server.id, Fate::Vanished);
        }
    }

    /// Puts the servers of a recorded listing into the fake, the last one first.
    pub(crate) fn seed(&self, project: &str, servers: &[Value]) {
        for recorded in servers.iter().rev() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = recorded["metadata"].as_object().into_iter().flatten();
            let tags = recorded["tags"].as_array().into_iter().flatten();
            self.fake.add_server(&NewServer {
                name: text(&recorded["name"]),
                project: project.to_owned(),
                metadata: metadata.map(|(key, value)| (key.clone(), text(value))).collect(),
                tags: tags.map(text).collect::<BTreeSet<_>>(),
                ..NewServer::default()
            });
        }
    }

    /// This server of the fake stands for a recorded one.
    pub(crate) fn stands_for(&mut self, fake: &str, recorded: &str) {
        self.ids.insert(recorded.to_owned(), fake.to_owned());
    }

    fn with_own_ids(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, own) in &self.ids {
            text = text.replace(recorded, own);
        }
        text
    }

    fn url(&self, recorded: &str) -> String {
        let base = self.fake.base();
        let service = SERVICES.iter().find(|(address, _, _)| recorded.starts_with(address));
        let (address, path, _) = service.expect("the service is known");
        self.with_own_ids(&recorded.replacen(address, &format!("{base}{path}"), 1))
    }

    /// Puts a recorded request to the fake.
    pub(crate) async fn ask(&mut self, capture: &Capture) -> Response {
        let asked = &capture.request;
        let method: Method = asked.method.parse().unwrap();
        let mut request = self.http.request(method, self.url(&asked.url));
        for (name, value) in &asked.headers {
            let own = self.tokens.get(value).unwrap_or(value);
            request = request.header(name, own);
        }
        match &asked.body {
            Value::Null => {}
            Value::String(text) => request = request.body(text.clone()),
            body => request = request.body(self.with_own_ids(&body.to_string())),
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let response = Response { status, headers, body };
        self.learn(capture, &response);
        response
    }

    fn learn(&mut self, capture: &Capture, response: &Response) {
        let token = "x-subject-token";
        if let (Some(recorded), Some(own)) =
            (capture.response.header(token), response.header(token))
            && !self.tokens.contains_key(recorded)
        {
            self.tokens.insert(recorded.to_owned(), own.to_owned());
        }
        learn(&capture.response.body, &response.body, &mut self.ids);
    }

    /// A header of the fake, and the recorded one, without what differs from run to run.
    pub(crate) fn normal_headers(
        &self,
        name: &str,
        capture: &Capture,
        fake: &Response,
    ) -> (Option<String>, Option<String>) {
        let recorded = capture.response.header(name);
        let recorded = recorded.map(|value| normal_text(value, &self.recorded_hosts()));
        let own = fake.header(name).map(|value| normal_text(value, &self.fake_hosts()));
        (recorded, own)
    }
}
