//! The line language of `tests/scenarios`: reads a story, asks the planner, writes its answers.

mod money;

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle::model::*;
use vcycle::plan::{Orphan, Plan, QuotaStop, Step, processors_in_use};
use vcycle_money::plan::Budget;

use crate::plan_support::{World, machine_name, machinetype, machinetype_name, offering, vm_of};

type Outcome = Result<(), String>;

/// A story being told.
pub(crate) struct Story {
    world: World,
    plan: Option<Plan>,
    /// Full names of machines, with what the story calls them.
    short: BTreeMap<String, String>,
    new: u32,
    budgets: Vec<Budget>,
}

impl Story {
    /// The story with the planner's answers of today.
    pub(crate) fn tell(text: &str) -> Result<String, String> {
        let mut story = Self {
            world: World::new(Vec::new()),
            plan: None,
            short: BTreeMap::new(),
            new: 0,
            budgets: Vec::new(),
        };
        story.world.offerings.clear();
        let mut told = String::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('|')) {
            told += line;
            told.push('\n');
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = story
                .hear(&words)
                .map_err(|problem| format!("line {}: {line:?}: {problem}", number + 1))?;
            for line in answer {
                told += format!("| {line}").trim_end();
                told.push('\n');
            }
        }
        Ok(told)
    }

    fn hear(&mut self, words: &[&str]) -> Result<Vec<String>, String> {
        match words {
            [] | ["#", ..] => {}
            ["plan"] => return Ok(self.answer()),
            ["apply"] => {
                let plan = self.plan.take().ok_or("there is no plan to apply")?;
                self.world.apply(&plan);
            }
            ["boot"] => self.world.boot_all(),
            ["wait", time] => self.world.wait(duration(time)?),
            ["space", rest @ ..] => self.space(rest)?,
            ["quota", what, limit, "used", used] => {
                self.quota(what, number(limit)?, number(used)?)?
            }
            ["quota-refused", used] => {
                let used = Processors(number(used)?);
                self.world.quota_stop = Some(QuotaStop { at: self.world.now, used });
            }
            ["offering", flavour, processors, rest @ ..] => {
                self.offering(flavour, number(processors)?, rest)?;
            }
            ["budget", name, amount, "for", time, rest @ ..] => {
                let to = (&mut self.world, &mut self.budgets);
                money::add_budget(to, (name, amount, time), rest)?;
            }
            ["machinetype", name, rest @ ..] => self.machinetype(name, rest)?,
            ["no-machinetype", name] => self.forget(name),
            ["machine", name, state, since, rest @ ..] => self.machine(name, state, since, rest)?,
            ["cloud", name, state] => self.cloud(name, state)?,
            ["says", name, words @ ..] => {
                let message = ShutdownMessage::parse(&words.join(" ")).ok_or("not a message")?;
                self.view(name)?.message = Some(message);
            }
            ["duplicate", name] => {
                let view = self.view(name)?;
                let mut vm = vm_of(&view.record, InstanceState::Running);
                vm.id = InstanceId::parse(&format!("{}-twin", vm.id)).unwrap();
                view.duplicates.push(vm);
            }
            ["orphan", name, state] => self.orphan(name, state, self.world.deployment.clone())?,
            ["orphan-of-others", name, state] => {
                self.orphan(name, state, DeploymentId::compose(999))?;
            }
            ["foreign", machines, "machines", processors, "processors"] => {
                self.world.strangers.machines = number(machines)?;
                self.world.strangers.processors = Processors(number(processors)?);
            }
            ["past", name, ago, rest @ ..] => self.past(name, ago, rest)?,
            ["listing", state] => self.listing(state)?,
            ["request", rest @ ..] => self.request(rest)?,
            ["lease", "begins", time] => {
                self.world.terms.opens = Some(self.world.now + duration(time)?);
            }
            ["lease", "ends", time] => {
                self.world.terms.closes = Some(self.world.now + duration(time)?);
            }
            ["credential", "expires", time] => {
                self.world.terms.credential_expires = Some(self.world.now + duration(time)?);
            }
            ["cloud-says", words @ ..] => self.world.terms.notices.push(words.join(" ")),
            ["needs", name, rest @ ..] => self.needs(name, rest)?,
            ["left-behind", id, "of", name] => self.left_behind(id, name)?,
            ["archived", name, ago] => {
                let at = self.world.now - duration(ago)?;
                let machine = self.name(name)?;
                self.world.archived.push((machine, at));
            }
            _ => return Err("not a line of the language".into()),
        }
        Ok(Vec::new())
    }

    /// Plans, and shows steps, reasons, alarms.
    fn answer(&mut self) -> Vec<String> {
        money::give_orders(&mut self.world, &self.budgets);
        let plan = self.world.plan();
        for step in &plan.steps {
            if let Step::Create(new) = step {
                self.new += 1;
                let short = format!("{}/new{}", new.tags.machinetype, self.new);
                self.short.insert(new.tags.machine.to_string(), short);
            }
        }
        let used = processors_in_use(&self.world.input());
        let mut lines = vec![format!("{}: {used} processors in use", self.world.now)];
        lines.extend(plan.steps.iter().map(|step| format!("  {step}")));
        for (machinetype, reason) in &plan.report.machinetypes {
            lines.push(format!("{machinetype}: [{}] {reason}", reason.word()));
        }
        for (machine, reason) in &plan.report.held_back {
            lines.push(format!("held back: {machine}: {reason}"));
        }
        lines.extend(plan.report.alarms.iter().map(|alarm| format!("ALARM {alarm}")));
        self.plan = Some(plan);
        lines.into_iter().map(|line| self.shorten(line)).collect()
    }

    /// Names as the story has them, and times of day.
    fn shorten(&self, mut line: String) -> String {
        for (name, short) in &self.short {
            line = line.replace(&format!("i-{name}"), &format!("i-{short}")).replace(name, short);
        }
        line.replace("2026-01-01T", "").replace("2026-01-02T", "tomorrow ").replace(".000Z", "")
    }

    fn offering(&mut self, flavour: &str, processors: u32, settings: &[&str]) -> Outcome {
        let (price, rest) = money::split(settings);
        let new = read_offering(self.world.now, flavour, processors, &rest)?;
        money::set_price(&mut self.world, &new.id, &price)?;
        self.world.offerings.retain(|old| old.id != new.id);
        self.world.offerings.push(new);
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<MachineName, String> {
        let (machinetype, short) = name.split_once('/').ok_or("a machine is TYPE/NAME")?;
        let known = self.short.iter().find(|(_, known)| *known == name).map(|(full, _)| full);
        if let Some(full) = known {
            return MachineName::parse(full).map_err(|e| e.to_string());
        }
        let full = machine_name(machinetype, short);
        self.short.insert(full.to_string(), name.to_owned());
        Ok(full)
    }

    fn view(&mut self, name: &str) -> Result<&mut MachineView, String> {
        let name = self.name(name)?;
        let found = self.world.machines.iter_mut().find(|view| *view.record.machine() == name);
        found.ok_or_else(|| format!("there is no machine {name}"))
    }

    /// It is gone from the configuration.
    fn forget(&mut self, machinetype: &str) {
        self.world.policy.machinetypes.remove(&machinetype_name(machinetype));
    }

    fn space(&mut self, words: &[&str]) -> Outcome {
        let now = self.world.now;
        let policy = &mut self.world.policy;
        match words {
            ["limit", "none"] => policy.processors_limit = None,
            ["limit", limit] => policy.processors_limit = Some(Processors(number(limit)?)),
            ["machines", limit] => policy.machines_limit = Some(number(limit)?),
            ["pace", machines, "machines"] => policy.pace = Pace::Machines(number(machines)?),
            ["pace", fraction] => policy.pace = Pace::FractionOfLimit(percent(fraction)?),
            ["taken-back", time] => policy.taken_back_after = Some(duration(time)?),
            ["shutdown", time] => policy.shutdown_time = Some(now + duration(time)?),
            ["blast", machines, "or", fraction] => {
                let machines = number(machines)?;
                policy.blast_radius = BlastRadius { machines, fraction: percent(fraction)? };
            }
            _ => return Err("not a setting of a space".into()),
        }
        Ok(())
    }

    fn quota(&mut self, what: &str, limit: u32, used: u32) -> Outcome {
        let quota = &mut self.world.quota;
        match what {
            "processors" => {
                quota.processors = Some(Processors(limit));
                quota.processors_used = Some(Processors(used));
            }
            "machines" => {
                quota.machines = Some(limit);
                quota.machines_used = Some(used);
            }
            "memory" => {
                quota.memory = Some(Megabytes(limit.into()));
                quota.memory_used = Some(Megabytes(used.into()));
            }
            _ => return Err("not a quota".into()),
        }
        Ok(())
    }

    fn machinetype(&mut self, name: &str, settings: &[&str]) -> Outcome {
        let known = self.world.policy.machinetypes.get(&machinetype_name(name)).cloned();
        let mut policy = known.unwrap_or_else(|| machinetype(name, 1.0));
        for (key, value) in settings.iter().map(|setting| key_value(setting)) {
            let processors = || number(value).map(Processors);
            match key {
                "share" => policy.target_share = Share::new(decimal(value)?).ok_or("a share")?,
                "min_processors" => policy.min_processors = processors()?,
                "max_processors" => policy.max_processors = Some(processors()?),
                "limit" => policy.processors_limit = Some(processors()?),
                "max_starting" => policy.max_starting_processors = Some(processors()?),
                "hs06" => policy.hs06_per_processor = Some(Hs06(decimal(value)?)),
                "mb_per_processor" => policy.mb_per_processor = Megabytes(number(value)?.into()),
                "flavors" => policy.flavors = value.split(',').map(str::to_owned).collect(),
                "zones" => policy.zones = value.split(',').map(str::to_owned).collect(),
                "markets" => {
                    let markets: Result<_, String> = value.split(',').map(money::market).collect();
                    policy.markets = markets?;
                }
                "community" => money::works_for(&mut self.world, &machinetype_name(name), value)?,
                "rank" => policy.ranking = money::ranking(value)?,
                "spreading" => policy.ranking = Ranking::Price { spreading: Some(decimal(value)?) },
                "backoff" => policy.backoff = duration(value)?,
                "fizzle" => policy.fizzle = duration(value)?,
                "start_timeout" => policy.start_timeout = duration(value)?,
                "max_wallclock" => policy.max_wallclock = duration(value)?,
                "min_wallclock" => policy.min_wallclock = duration(value)?,
                "grace" => policy.grace = duration(value)?,
                "heartbeat" => {
                    let every = Some(duration(value)?).filter(|every| !every.is_zero());
                    policy.heartbeat = Some(HeartbeatRule { file: "heartbeat".into(), every });
                }
                _ => return Err(format!("not a setting of a machinetype: {key}")),
            }
        }
        self.world.policy.machinetypes.insert(policy.name.clone(), policy);
        Ok(())
    }

    fn machine(&mut self, name: &str, state: &str, since: &str, rest: &[&str]) -> Outcome {
        self.name(name)?;
        let now = self.world.now;
        let (machinetype, short) = name.split_once('/').ok_or("a machine is TYPE/NAME")?;
        let since = duration(since)?;
        let offering = rest.iter().find_map(|word| word.strip_prefix("on="));
        let made_of = match offering {
            Some(what) => self.world.offerings.iter().find(|o| money::is(&o.id, what)).cloned(),
            None => None,
        };
        let view = match state {
            "running" => self.world.running(machinetype, short, since),
            "starting" => self.world.starting(machinetype, short, since),
            "intended" => self.world.intended(machinetype, short, since),
            _ => return Err("a machine is running, starting or intended".into()),
        };
        if let Some(made_of) = made_of {
            view.record.offering = made_of.id;
            view.record.processors = made_of.processors;
        }
        for (key, value) in rest.iter().map(|setting| key_value(setting)) {
            match key {
                "heartbeat" => view.heartbeat = Some(now - duration(value)?),
                "deadline" => view.record.tags.deadline = now + duration(value)?,
                "on" => {}
                _ => return Err(format!("not a property of a machine: {key}")),
            }
        }
        if let Sighting::Seen(vm) = &mut view.sighting {
            vm.identity = Identity::Vcycle(view.record.tags.clone());
        }
        Ok(())
    }

    fn cloud(&mut self, name: &str, state: &str) -> Outcome {
        let now = self.world.now;
        let view = self.view(name)?;
        let state = match state {
            "hidden" => {
                view.sighting = Sighting::NotSeen;
                return Ok(());
            }
            "absent" => {
                view.sighting = Sighting::ProvenAbsent;
                return Ok(());
            }
            state => instance_state(state)?,
        };
        let mut vm = vm_of(&view.record, state);
        vm.started = view.record.started;
        let has_ended = !matches!(
            vm.state,
            InstanceState::Pending | InstanceState::Running | InstanceState::Unknown { .. }
        );
        vm.ended = has_ended.then_some(now);
        view.sighting = Sighting::Seen(Box::new(vm));
        Ok(())
    }

    fn orphan(&mut self, name: &str, state: &str, deployment: DeploymentId) -> Outcome {
        self.name(name)?;
        let (machinetype, short) = name.split_once('/').ok_or("a machine is TYPE/NAME")?;
        let mut record = self.world.record(machinetype, short, Duration::from_secs(3600));
        record.tags.deployment = deployment;
        let mut vm = vm_of(&record, instance_state(state)?);
        vm.started = Some(self.world.now - Duration::from_secs(3000));
        self.world.orphans.push(Orphan { tags: record.tags, instance: vm });
        Ok(())
    }

    fn past(&mut self, name: &str, ago: &str, words: &[&str]) -> Outcome {
        let (words, what) = match words {
            [words @ .., "on", what] => (words, Some(*what)),
            words => (words, None),
        };
        let kind = match words {
            ["fizzled"] => EndKind::Fizzled,
            ["never-started"] => EndKind::NeverStarted,
            ["silent"] => EndKind::Silent,
            ["preempted"] => EndKind::Preempted,
            ["says", words @ ..] => EndKind::Message {
                message: ShutdownMessage::parse(&words.join(" ")).ok_or("not a message")?,
            },
            ["rejected", kind] => EndKind::Rejected { kind: (*kind).to_owned() },
            _ => return Err("not an end".into()),
        };
        self.world.past(name, duration(ago)?, kind);
        if let Some(what) = what {
            let known = self.world.offerings.iter().find(|o| money::is(&o.id, what));
            let id = known.ok_or("that is not offered")?.id.clone();
            self.world.past.last_mut().expect("just added").offering = id;
        }
        Ok(())
    }

    fn listing(&mut self, state: &str) -> Outcome {
        let failed = |kind: &str, message: &str| ListingState::Failed {
            kind: kind.to_owned(),
            message: message.to_owned(),
        };
        self.world.listing = match state {
            "complete" => ListingState::Complete { started: self.world.now },
            "partial" => ListingState::Partial { why: "page 2 did not come".into() },
            "shrunken" => ListingState::Shrunken { expected: 10, missing: 6 },
            "elsewhere" => ListingState::Elsewhere {
                ours: "project 'iris'".into(),
                theirs: "project 'test'".into(),
            },
            "failed" => failed("unavailable", "no answer within 30 s"),
            "auth-failed" => failed("auth-failed", "401 the credential has expired"),
            _ => return Err("not a listing".into()),
        };
        Ok(())
    }

    fn needs(&mut self, name: &str, words: &[&str]) -> Outcome {
        let readiness = match words {
            ["nothing"] => Readiness::Ready,
            ["time", why @ ..] => Readiness::NotYet { why: why.join(" ") },
            ["somebody", why @ ..] => Readiness::Cannot { why: why.join(" ") },
            _ => return Err("a machinetype needs nothing, time or somebody".into()),
        };
        self.world.readiness.insert(machinetype_name(name), readiness);
        Ok(())
    }

    fn left_behind(&mut self, id: &str, name: &str) -> Outcome {
        self.name(name)?;
        let (machinetype, short) = name.split_once('/').ok_or("a machine is TYPE/NAME")?;
        let tags = self.world.record(machinetype, short, Duration::from_secs(3600)).tags;
        self.world.left_behind(id, tags);
        Ok(())
    }

    fn request(&mut self, words: &[&str]) -> Outcome {
        let by = |time: &str, now: Timestamp| duration(time).map(|time| now + time);
        let now = self.world.now;
        let what = match words {
            ["delete-machine", name] => RequestWhat::DeleteMachine { machine: self.name(name)? },
            ["drain-machine", name, time] => {
                RequestWhat::DrainMachine { machine: self.name(name)?, by: by(time, now)? }
            }
            ["drain-machinetype", name, time] => RequestWhat::DrainMachinetype {
                machinetype: machinetype_name(name),
                by: by(time, now)?,
            },
            ["drain-space", time] => RequestWhat::DrainSpace { by: by(time, now)? },
            _ => return Err("not a request".into()),
        };
        self.world.request("admin@desk", what);
        Ok(())
    }
}

fn instance_state(word: &str) -> Result<InstanceState, String> {
    Ok(match word {
        "pending" => InstanceState::Pending,
        "running" => InstanceState::Running,
        "stopped" => InstanceState::Stopped,
        "preempted" => InstanceState::Preempted,
        "failed" => failed(None, "the guest could not be spawned"),
        "no-capacity" => failed(Some(LateRefusal::InsufficientCapacity), "No valid host was found"),
        "no-quota" => failed(Some(LateRefusal::QuotaExceeded), "Quota exceeded for cores"),
        "deleting" => InstanceState::Deleting,
        "tombstone" => InstanceState::Gone,
        "unknown" => InstanceState::Unknown { word: "SHELVED".into() },
        _ => return Err("not a state of a VM".into()),
    })
}

fn failed(refusal: Option<LateRefusal>, fault: &str) -> InstanceState {
    InstanceState::Failed { refusal, fault: fault.to_owned() }
}

fn read_offering(
    now: Timestamp,
    flavour: &str,
    processors: u32,
    settings: &[&str],
) -> Result<Offering, String> {
    let mut offering = offering(flavour, processors);
    for (key, value) in settings.iter().map(|setting| key_value(setting)) {
        match key {
            "preemptible" => offering.id.market = Market::Preemptible,
            "zone" => offering.id.zone = value.to_owned(),
            "memory" => offering.memory = Megabytes(number(value)?.into()),
            "until" => offering.availability = Availability::NotUntil(now + duration(value)?),
            _ => return Err(format!("not a property of an offering: {key}")),
        }
    }
    Ok(offering)
}

fn key_value(setting: &str) -> (&str, &str) {
    setting.split_once('=').unwrap_or((setting, ""))
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

fn decimal(word: &str) -> Result<f64, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

fn percent(word: &str) -> Result<f64, String> {
    let digits = word.strip_suffix('%').ok_or_else(|| format!("not a percentage: {word}"))?;
    Ok(decimal(digits)? / 100.0)
}

fn duration(word: &str) -> Result<Duration, String> {
    let (digits, unit) = word.split_at(word.len().saturating_sub(1));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(format!("not a duration: {word}")),
    };
    Ok(Duration::from_secs(u64::from(number(digits)?) * unit))
}
