//! What machinetypes need, what the cloud promises, and what people are told of it.

use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Halt, Outcome};
use crate::{Finding, MachinetypeName, Need, Readiness, Terms, Verdict};

/// The needs of the template, under the names given.
fn needs(bench: &Bench, names: &[&str]) -> Vec<Need> {
    let template = bench.tenancy().template();
    let need = |name: &&str| Need {
        machinetype: MachinetypeName::parse(name).expect("a plain name is valid"),
        image: template.image.clone(),
        public_key: template.public_key.clone(),
        flavors: template.offering.iter().map(|offering| offering.flavour.clone()).collect(),
    };
    names.iter().map(need).collect()
}

/// What a good machinetype needs becomes ready in the end, and stays so.
pub(super) async fn what_is_needed_becomes_ready(bench: &Bench) -> Outcome {
    let (provider, needs) = (bench.provider(), needs(bench, &["conformance"]));
    let is_ready = async || match provider.prepare(&needs).await?.as_slice() {
        [Readiness::Ready] => Ok(true),
        [Readiness::NotYet { why: _ }] => Ok(false),
        other => Err(Halt::Failed(format!("a good machinetype is {other:?}"))),
    };
    bench.wait("the machinetype to be ready", is_ready).await?;
    ensure!(is_ready().await?, "what was ready is not ready any more");
    Ok(())
}

/// There is one answer for each need, also for none.
pub(super) async fn each_need_gets_one_answer(bench: &Bench) -> Outcome {
    for names in [&[][..], &["one"], &["one", "two", "three"]] {
        let answers = bench.provider().prepare(&needs(bench, names)).await?;
        let (needed, answered) = (names.len(), answers.len());
        ensure!(needed == answered, "{needed} needs, {answered} answers: {answers:?}");
    }
    Ok(())
}

/// The terms of a tenancy that can be used now say that it can be used now.
pub(super) async fn the_terms_of_an_open_tenancy_allow_its_use(bench: &Bench) -> Outcome {
    let Terms { opens, closes, credential_expires, notices: _ } = bench.provider().terms().await?;
    let now = bench.now();
    ensure!(opens.is_none_or(|at| at <= now), "opens later: {opens:?}");
    ensure!(closes.is_none_or(|at| at > now), "closed already: {closes:?}");
    ensure!(credential_expires.is_none_or(|at| at > now), "expired: {credential_expires:?}");
    Ok(())
}

/// An inspection finds that the login works, and nothing that fails, where all is well.
pub(super) async fn an_inspection_finds_a_good_tenancy_good(bench: &Bench) -> Outcome {
    let findings = bench.provider().inspect(&needs(bench, &["conformance"])).await;
    let failing: Vec<_> = findings.iter().filter(|it| it.verdict == Verdict::Fails).collect();
    ensure!(failing.is_empty(), "{failing:?}");
    ensure!(login(&findings) == Some(Verdict::Works), "the login is not found to work");
    Ok(())
}

/// An inspection ends also without credentials, and says that the login fails.
pub(super) async fn an_inspection_says_that_the_login_fails(bench: &Bench) -> Outcome {
    bench.inject(Fault::RevokeCredentials).await?;
    let findings = bench.provider().inspect(&needs(bench, &["conformance"])).await;
    ensure!(login(&findings) == Some(Verdict::Fails), "the login is not found to fail");
    Ok(())
}

fn login(findings: &[Finding]) -> Option<Verdict> {
    findings.iter().find(|finding| finding.subject == "login").map(|finding| finding.verdict)
}
