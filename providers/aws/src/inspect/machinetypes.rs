//! Findings about what each machinetype needs, and whether EC2 would make it: a dry run of the very request.

use std::sync::Arc;

use vcycle_api::{
    CreateRequest, DeploymentId, Finding, Generation, IntentToken, MachineName, Need, Offering,
    SpaceName, Tags, UserData,
};

use super::permission;
use super::region::judged;
use crate::account::Account;
use crate::image::{self, Image};
use crate::launch::{self, Parts};
use crate::{keypair, network, types};

/// All needs, one after the other: what they share is remembered.
pub(super) async fn all(account: &Account, needs: &[Need]) -> Vec<Finding> {
    let offerings = types::offerings(account).await;
    let mut findings = Vec::new();
    for need in needs {
        let image = image_of(account, need, &mut findings).await;
        let key = key_of(account, need, &mut findings).await;
        let subject = format!("flavours of {}", need.machinetype);
        let offering = match &offerings {
            Ok(offerings) => {
                let (finding, first) = flavours(account, need, offerings);
                findings.push(finding);
                first
            }
            Err(error) => {
                findings.push(judged(&subject, error));
                None
            }
        };
        if let (Some(image), Some(offering)) = (image, offering) {
            check_architecture(account, need, &image, offering, &mut findings);
            findings.push(dry_run(account, need, &image, offering, key.as_deref()).await);
        }
    }
    findings
}

async fn image_of(
    account: &Account,
    need: &Need,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Image>> {
    let subject = format!("image of {}", need.machinetype);
    let Some(text) = &need.image else {
        findings.push(Finding::fails(subject, "set root_image"));
        return None;
    };
    match image::resolve(account, text).await {
        Ok(image) => {
            let parts = [
                Some(&image.reference),
                image.name.as_ref(),
                image.architecture.as_ref(),
                image.created.as_ref(),
            ];
            let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            findings.push(Finding::works(subject, words.join(", ")));
            Some(image)
        }
        Err(error) => {
            findings.push(judged(&subject, &error));
            None
        }
    }
}

/// The name of the key pair, if it is there: importing it would change something.
async fn key_of(account: &Account, need: &Need, findings: &mut Vec<Finding>) -> Option<String> {
    let name = keypair::name_of(need.public_key.as_deref()?);
    let subject = format!("key of {}", need.machinetype);
    let asked = account.session.call("find key pair", |clients| {
        let by = aws_sdk_ec2::types::Filter::builder().name("key-name").values(&name).build();
        clients.ec2.describe_key_pairs().filters(by).send()
    });
    match asked.await {
        Ok(answer) if answer.key_pairs().is_empty() => {
            let detail = format!("a manager will import it as {name}");
            findings.push(Finding::works(subject, detail));
            None
        }
        Ok(_) => {
            findings.push(Finding::works(subject, name.clone()));
            Some(name)
        }
        Err(failure) => {
            findings.push(judged(&subject, &failure.of_read()));
            None
        }
    }
}

/// The finding, and the first offering that the machinetype may use.
fn flavours<'a>(
    account: &Account,
    need: &Need,
    offerings: &'a [Offering],
) -> (Finding, Option<&'a Offering>) {
    let subject = format!("flavours of {}", need.machinetype);
    let wanted = match need.flavors.as_slice() {
        [] => account.settings.instance_types.as_slice(),
        flavors => flavors,
    };
    let is_offered = |name: &&String| offerings.iter().any(|it| it.id.flavour == **name);
    let (there, missing): (Vec<&String>, Vec<&String>) = wanted.iter().partition(is_offered);
    let first = there.first().and_then(|name| offerings.iter().find(|it| it.id.flavour == **name));
    let words =
        |names: &[&String]| names.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    let finding = match (there.as_slice(), missing.as_slice()) {
        ([], missing) => Finding::fails(subject, format!("not offered here: {}", words(missing))),
        (there, []) => Finding::works(subject, words(there)),
        (there, missing) => {
            let detail = format!("{}; not offered here: {}", words(there), words(missing));
            Finding::works(subject, detail)
        }
    };
    (finding, first)
}

fn check_architecture(
    account: &Account,
    need: &Need,
    image: &Image,
    offering: &Offering,
    findings: &mut Vec<Finding>,
) {
    let flavour = &offering.id.flavour;
    let (Some(of_image), Some(facts)) = (&image.architecture, account.types.get(flavour)) else {
        return;
    };
    if !facts.architectures.is_empty() && !facts.architectures.contains(of_image) {
        let of_type = facts.architectures.join(", ");
        let detail = format!("{} is for {of_image}, {flavour} is {of_type}", image.reference);
        findings.push(Finding::fails(format!("image of {}", need.machinetype), detail));
    }
}

async fn dry_run(
    account: &Account,
    need: &Need,
    image: &Image,
    offering: &Offering,
    key: Option<&str>,
) -> Finding {
    let subject = format!("create of {}", need.machinetype);
    let network = match network::network(account).await {
        Ok(network) => network,
        Err(error) => return judged(&subject, &error),
    };
    let request = request(account, need, offering);
    let Some(subnet) = network.subnet(&offering.id.zone, &request.tags.intent) else {
        return Finding::fails(subject, format!("no subnet in {}", offering.id.zone));
    };
    let settings = &account.settings;
    let parts = Parts { request: &request, settings, image, subnet, groups: &network.groups, key };
    let input = match launch::input(&parts) {
        Ok(input) => input.dry_run(true),
        Err(error) => return judged(&subject, &error),
    };
    let asked = account.session.call("dry run", |clients| {
        let ec2 = clients.ec2.clone();
        async move { input.send_with(&ec2).await }
    });
    permission(&subject, &format!("RunInstances of {}", offering.id), asked.await)
}

/// A request like those of a manager, of an intent that nobody has.
fn request(account: &Account, need: &Need, offering: &Offering) -> CreateRequest {
    let valid = "a plain name is valid";
    let nobody = || DeploymentId::parse("inspection").expect(valid);
    let machine = MachineName::compose(&need.machinetype, 0);
    CreateRequest {
        machine: machine.clone(),
        offering: offering.clone(),
        tags: Tags {
            deployment: account.deployment.get().cloned().unwrap_or_else(nobody),
            space: SpaceName::parse("inspection").expect(valid),
            machinetype: need.machinetype.clone(),
            machine,
            intent: IntentToken::compose(0),
            generation: Generation(0),
            deadline: account.clock.now(),
        },
        image: need.image.clone(),
        public_key: need.public_key.clone(),
        user_data: UserData::new("#!/bin/sh\n"),
        environment: Vec::new(),
    }
}
