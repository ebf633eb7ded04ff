//! The accounts of a book, each under a number, with the caps that are on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Account, Cap};

/// An account, by the order in which accounts first came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountNumber(pub(super) u32);

/// All that ever had a booking; there are few, and they are never forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accounts(Arc<Known>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    all: Vec<Account>,
    numbers: BTreeMap<Account, AccountNumber>,
    /// For each account the caps on it, by their places in the list of caps.
    covering: Vec<Vec<usize>>,
}

impl Accounts {
    pub(super) fn all(&self) -> &[Account] {
        &self.0.all
    }

    pub(super) fn get(&self, number: AccountNumber) -> &Account {
        &self.0.all[number.0 as usize]
    }

    pub(super) fn number(&self, account: &Account) -> Option<AccountNumber> {
        self.0.numbers.get(account).copied()
    }

    /// The number of an account, which may be new.
    pub(super) fn intern(&mut self, account: &Account, caps: &[Cap]) -> AccountNumber {
        if let Some(number) = self.number(account) {
            return number;
        }
        let known = Arc::make_mut(&mut self.0);
        let number = AccountNumber(
            u32::try_from(known.all.len()).expect("fewer accounts than machinetypes could ever be"),
        );
        known.all.push(account.clone());
        known.numbers.insert(account.clone(), number);
        known.covering.push(covering(account, caps));
        number
    }

    /// The caps on an account that is known.
    pub(super) fn covering(&self, number: AccountNumber) -> &[usize] {
        &self.0.covering[number.0 as usize]
    }

    /// The caps are others now.
    pub(super) fn set_caps(&mut self, caps: &[Cap]) {
        let known = Arc::make_mut(&mut self.0);
        known.covering = known.all.iter().map(|account| covering(account, caps)).collect();
    }
}

/// The caps on an account.
pub(super) fn covering(account: &Account, caps: &[Cap]) -> Vec<usize> {
    let covers = |(_, cap): &(usize, &Cap)| cap.scope.covers(account);
    caps.iter().enumerate().filter(covers).map(|(place, _)| place).collect()
}
