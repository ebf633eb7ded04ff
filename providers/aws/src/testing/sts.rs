//! STS: who the caller is, and sessions of roles.

use vcycle_api::Clock;

use super::access::{Caller, Session};
use super::ask::Ask;
use super::params::Params;
use super::reply::{Answer, Refusal, Said};
use super::site::SiteRole;
use super::words::{Xml, seconds};
use super::world::World;

/// Answers a call of STS.
pub(crate) fn answer(world: &mut World, ask: &Ask, caller: &Caller) -> Answer {
    let params = &ask.params;
    match ask.action.as_str() {
        "GetCallerIdentity" => {
            let mut xml = Xml::default();
            xml.text("Arn", &caller.arn);
            xml.text("UserId", &caller.user_id);
            xml.text("Account", &world.site.account);
            Ok(Said::Xml(xml))
        }
        "AssumeRole" => {
            let role = role(world, params)?;
            if role.external_id.is_some() && role.external_id.as_deref() != params.get("ExternalId")
            {
                return Err(denied(caller, params));
            }
            session(world, &role, params)
        }
        "AssumeRoleWithWebIdentity" => {
            let role = role(world, params)?;
            if role.web_token.is_none()
                || role.web_token.as_deref() != params.get("WebIdentityToken")
            {
                let message = "No OpenIDConnect provider found in your account";
                return Err(Refusal::new(400, "InvalidIdentityToken", message));
            }
            session(world, &role, params)
        }
        other => {
            let message = format!("Could not find operation {other} for version 2011-06-15");
            Err(Refusal::new(400, "InvalidAction", message))
        }
    }
}

fn denied(caller: &Caller, params: &Params) -> Refusal {
    let (arn, role) = (&caller.arn, params.get("RoleArn").unwrap_or_default());
    let message =
        format!("User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role}");
    Refusal::new(403, "AccessDenied", message)
}

/// A role that is not there is not told from one that may not be assumed.
fn role(world: &World, params: &Params) -> Result<SiteRole, Refusal> {
    let wanted = params.need("RoleArn")?;
    let account = &world.site.account;
    let mut roles = world.site.roles.iter();
    let found = roles.find(|role| format!("arn:aws:iam::{account}:role/{}", role.name) == wanted);
    found.cloned().ok_or_else(|| {
        let message = format!("Not authorized to perform sts:AssumeRole on resource: {wanted}");
        Refusal::new(403, "AccessDenied", message)
    })
}

fn session(world: &mut World, role: &SiteRole, params: &Params) -> Answer {
    let name = params.need("RoleSessionName")?.to_owned();
    let key = format!("ASIA{}", world.ids.key());
    let (secret, token) = (world.ids.secret(), world.ids.secret());
    let expires = world.host_clock.now() + role.life;
    let mut xml = Xml::default();
    xml.inside("Credentials", |xml| {
        xml.text("AccessKeyId", &key);
        xml.text("SecretAccessKey", &secret);
        xml.text("SessionToken", &token);
        xml.text("Expiration", seconds(expires));
    });
    xml.inside("AssumedRoleUser", |xml| {
        let (account, role) = (&world.site.account, &role.name);
        xml.text("AssumedRoleId", format!("AROAFAKEFAKEFAKEFAKE:{name}"));
        xml.text("Arn", format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"));
    });
    let role = role.name.clone();
    world.access.sessions.insert(key, Session { secret, token, role, name, expires });
    Ok(Said::Xml(xml))
}
