//! A breadth-first search through every state that a model can reach, exact (states are compared, not
//! their hashes), with the shortest way to the first state that breaks a law.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// One way on from a state.
pub(crate) struct Way<A, S> {
    pub(crate) action: A,
    /// Where it leads, or the law that the action itself breaks.
    pub(crate) to: Result<S, &'static str>,
}

/// What can be searched.
pub(crate) trait Model {
    type State: Clone + Eq + Hash + Debug;
    type Action: Clone + Debug;
    fn first(&self) -> Self::State;
    /// All ways on, named as the state has them.
    fn ways(&self, from: &Self::State, out: &mut Vec<Way<Self::Action, Self::State>>);
    /// The one state that stands for all that differ only in names.
    fn canonical(&self, state: &Self::State) -> Self::State;
    /// The law that a state breaks.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
}

/// What was found.
pub(crate) struct Explored<S> {
    pub(crate) states: HashMap<S, u32, Fast>,
    pub(crate) transitions: u64,
    /// Steps from the first state to the farthest.
    pub(crate) depth: u32,
    /// Whether the search ended by itself.
    pub(crate) complete: bool,
    pub(crate) counterexample: Option<Counterexample>,
}

/// The shortest way to a broken law.
pub(crate) struct Counterexample {
    pub(crate) law: &'static str,
    pub(crate) steps: Vec<String>,
}

impl Counterexample {
    pub(crate) fn told(&self) -> String {
        let mut text = format!("broken: {}\n", self.law);
        for (number, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("  {:>2}. {step}\n", number + 1));
        }
        text
    }
}

/// Searches until everything is seen, a law is broken, or it is `deepest` steps away.
pub(crate) fn explore<M: Model>(model: &M, deepest: u32) -> Explored<M::State> {
    let first = model.canonical(&model.first());
    let mut found = Explored {
        states: HashMap::default(),
        transitions: 0,
        depth: 0,
        complete: false,
        counterexample: None,
    };
    let mut parents = vec![0];
    found.states.insert(first.clone(), 0);
    let mut layer = vec![(first, 0)];
    let mut ways = Vec::new();
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (state, id) in &layer {
            model.ways(state, &mut ways);
            found.transitions += ways.len() as u64;
            for Way { action: _, to } in ways.drain(..) {
                let (law, reached) = match to {
                    Err(law) => (Some(law), None),
                    Ok(to) => (model.broken(&to), Some(model.canonical(&to))),
                };
                if let Some(law) = law {
                    let steps = way_to(model, &found.states, &parents, *id, law);
                    found.depth += 1;
                    found.counterexample = Some(Counterexample { law, steps });
                    return found;
                }
                let Some(reached) = reached else { continue };
                let new = u32::try_from(parents.len()).expect("fewer states than 2^32");
                if let std::collections::hash_map::Entry::Vacant(place) =
                    found.states.entry(reached.clone())
                {
                    place.insert(new);
                    parents.push(*id);
                    next.push((reached, new));
                }
            }
        }
        if next.is_empty() {
            found.complete = true;
            return found;
        }
        found.depth += 1;
        if found.depth == deepest {
            return found;
        }
        layer = next;
    }
    found
}

/// The steps to a state and over the edge, with names that stay the same all the way.
fn way_to<M: Model>(
    model: &M,
    states: &HashMap<M::State, u32, Fast>,
    parents: &[u32],
    last: u32,
    law: &'static str,
) -> Vec<String> {
    let mut chain = vec![last];
    while let Some(id) = chain.last().copied().filter(|id| *id != 0) {
        chain.push(parents[id as usize]);
    }
    chain.reverse();
    let wanted: HashMap<u32, &M::State> = states
        .iter()
        .filter(|(_, id)| chain.contains(id))
        .map(|(state, id)| (*id, state))
        .collect();
    let mut here = model.first();
    let mut steps = Vec::new();
    let mut ways = Vec::new();
    for id in &chain[1..] {
        ways.clear();
        model.ways(&here, &mut ways);
        let way = ways.drain(..).find_map(|way| {
            let to = way.to.ok()?;
            (model.canonical(&to) == *wanted[id]).then_some((way.action, to))
        });
        let (action, to) = way.expect("the state was reached this way");
        steps.push(format!("{action:?}"));
        here = to;
    }
    ways.clear();
    model.ways(&here, &mut ways);
    let breaks = |way: &Way<M::Action, M::State>| match &way.to {
        Err(broken) => *broken == law,
        Ok(to) => model.broken(to) == Some(law),
    };
    let over = ways.into_iter().find(breaks).expect("it breaks the law");
    steps.push(format!("{:?}", over.action));
    steps
}

/// A quick hasher: the keys are ours, nobody attacks them.
pub(crate) type Fast = BuildHasherDefault<Folding>;

#[derive(Default)]
pub(crate) struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        // The table takes its place from the low bits and its tag from the high ones.
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }
    fn write_isize(&mut self, tag: isize) {
        self.write_u64(tag.cast_unsigned() as u64);
    }
    fn write_usize(&mut self, length: usize) {
        self.write_u64(length as u64);
    }
}
