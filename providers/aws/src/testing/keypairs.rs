//! Key pairs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use vcycle_api::Timestamp;

use super::describe::tags;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::wanted::tags_of;
use super::words::{Xml, time};
use super::world::World;

/// A key pair.
#[derive(Debug, Clone)]
pub(crate) struct KeyPair {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
}

impl KeyPair {
    fn kind(&self) -> &'static str {
        if self.text.starts_with("ssh-ed25519") { "ed25519" } else { "rsa" }
    }

    /// Not a real fingerprint: nobody here checks one.
    fn fingerprint(&self) -> String {
        self.id.trim_start_matches("key-").to_owned()
    }
}

fn unknown(name: &str) -> Refusal {
    let message = format!("The key pair '{name}' does not exist");
    Refusal::new(400, "InvalidKeyPair.NotFound", message)
}

/// Describes key pairs.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (names, ids) = (params.list("KeyName"), params.list("KeyPairId"));
    let filters = Filters::of(params)?;
    if let Some(missing) = names.iter().find(|name| !world.keypairs.contains_key(**name)) {
        return Err(unknown(missing));
    }
    let mut passed = Vec::new();
    for (name, pair) in &world.keypairs {
        let named = (names.is_empty() || names.contains(&name.as_str()))
            && (ids.is_empty() || ids.contains(&pair.id.as_str()));
        let value = |filter: &str| match filter {
            "key-name" => Some(vec![name.clone()]),
            "key-pair-id" => Some(vec![pair.id.clone()]),
            "fingerprint" => Some(vec![pair.fingerprint()]),
            _ => None,
        };
        if named && filters.pass(&pair.tags, value)? {
            passed.push((name, pair));
        }
    }
    let with_text = params.is_set("IncludePublicKey");
    let mut xml = Xml::default();
    xml.list("keySet", passed, |xml, (name, pair)| {
        xml.text("keyPairId", &pair.id);
        xml.text("keyName", name);
        xml.text("keyFingerprint", pair.fingerprint());
        xml.text("keyType", pair.kind());
        xml.text("createTime", time(pair.created));
        xml.maybe("publicKey", with_text.then_some(&pair.text));
        tags(xml, &pair.tags);
    });
    Ok(Said::Xml(xml))
}

/// Imports a public key.
pub(crate) fn import(world: &mut World, params: &Params) -> Answer {
    let name = params.need("KeyName")?.to_owned();
    if world.keypairs.contains_key(&name) {
        let message = format!("The keypair '{name}' already exists.");
        return Err(Refusal::new(400, "InvalidKeyPair.Duplicate", message));
    }
    let bad =
        || Refusal::new(400, "InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let bytes = BASE64.decode(params.need("PublicKeyMaterial")?).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    // "Supported types: RSA and ED25519" ("Create a key pair using a third-party tool").
    if !(text.starts_with("ssh-rsa ") || text.starts_with("ssh-ed25519 ")) {
        return Err(bad());
    }
    let mut own = BTreeMap::new();
    for group in params.groups("TagSpecification") {
        if group.get("ResourceType") != Some("key-pair") {
            return Err(Refusal::bad("not a valid taggable resource type for this operation"));
        }
        own = tags_of(&group)?;
    }
    let (id, created) = (world.ids.resource("key"), world.now());
    let pair = KeyPair { id, text, tags: own, created };
    let mut xml = Xml::default();
    xml.text("keyName", &name);
    xml.text("keyFingerprint", pair.fingerprint());
    xml.text("keyPairId", &pair.id);
    tags(&mut xml, &pair.tags);
    world.keypairs.insert(name, pair);
    Ok(Said::Xml(xml))
}

/// Deletes a key pair; one that is not there is deleted already.
pub(crate) fn delete(world: &mut World, params: &Params) -> Answer {
    if let Some(name) = params.get("KeyName") {
        world.keypairs.remove(name);
    }
    if let Some(id) = params.get("KeyPairId") {
        world.keypairs.retain(|_, pair| pair.id != id);
    }
    let mut xml = Xml::default();
    xml.text("return", true);
    Ok(Said::Xml(xml))
}
