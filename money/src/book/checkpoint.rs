//! A book as bytes: a pure function of the entries in it, so that any manager may write it. The first line tells the
//! SHA-256 of the second, which holds the book. The sums are not kept: they are reckoned anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vcycle_api::{Generation, SpaceName, Timestamp};

use super::accounts::AccountNumber;
use super::settled::{Bucket, Hour};
use super::verify::sha256;
use super::{Book, Change, Damage, Head, Open, Purpose, Recorded, Told};
use crate::{Account, Amount, Cap, CapName, Currency};

/// The format of checkpoints. One of another format is not read: the ledger is, from an older one or from its beginning.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Title {
    format: u32,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    head: Head,
    at: Timestamp,
    currency: Option<Currency>,
    caps: Vec<Cap>,
    caps_source: String,
    generations: BTreeMap<SpaceName, Generation>,
    stages: BTreeMap<CapName, Recorded>,
    open: Vec<Arc<Open>>,
    /// By the numbers of accounts.
    accounts: Vec<Account>,
    settled: Vec<Column>,
    /// By the numbers of accounts.
    #[serde(default)]
    told: Vec<(u32, Told)>,
    #[serde(default)]
    changes: Vec<Change>,
}

/// What was settled for one account and purpose: (hour, billionths), by hour.
#[derive(Serialize, Deserialize)]
struct Column {
    account: u32,
    purpose: Purpose,
    hours: Vec<(Hour, i64)>,
}

impl Book {
    /// Its bytes.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut columns: BTreeMap<(AccountNumber, Purpose), Vec<(Hour, i64)>> = BTreeMap::new();
        for (Bucket { hour, account, purpose }, amount) in self.settled.iter() {
            columns.entry((account, purpose)).or_default().push((hour, amount.nanos()));
        }
        let column = |((account, purpose), hours): ((AccountNumber, Purpose), _)| Column {
            account: account.0,
            purpose,
            hours,
        };
        let content = line(&Content {
            head: self.head.clone(),
            at: self.at,
            currency: self.currency,
            caps: self.caps.to_vec(),
            caps_source: self.caps_source.clone(),
            generations: self.generations.clone(),
            stages: self.stages.clone(),
            open: self.open.iter().map(|(_, open)| Arc::clone(open)).collect(),
            accounts: self.accounts.all().to_vec(),
            settled: columns.into_iter().map(column).collect(),
            changes: self.changes.to_vec(),
            told: self.told.iter().map(|(account, told)| (account.0, *told)).collect(),
        });
        let title = Title { format: FORMAT, sha256: sha256(&content) };
        let mut bytes = line(&title);
        bytes.extend(content);
        bytes
    }

    /// From its bytes.
    ///
    /// # Errors
    /// [`Damage`]: they are not those of a book.
    pub fn from_checkpoint(bytes: &[u8]) -> Result<Self, Damage> {
        let unreadable = |why: &str| Damage::Unreadable { why: why.to_owned() };
        let broken = |error: serde_json::Error| unreadable(&error.to_string());
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (title, content) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let title: Title = serde_json::from_slice(title).map_err(broken)?;
        if title.format != FORMAT {
            return Err(Damage::Newer { found: u64::from(title.format) });
        }
        if sha256(content) != title.sha256 {
            return Err(unreadable("its content was changed or cut off"));
        }
        let content: Content = serde_json::from_slice(content).map_err(broken)?;
        Self::of(content).ok_or_else(|| unreadable("it contradicts itself"))
    }

    fn of(content: Content) -> Option<Self> {
        let mut book = Self {
            head: content.head,
            at: content.at,
            currency: content.currency,
            caps_source: content.caps_source,
            generations: content.generations,
            stages: content.stages,
            changes: Arc::new(content.changes),
            ..Self::default()
        };
        for account in &content.accounts {
            book.accounts.intern(account, &[]);
        }
        for Column { account, purpose, hours } in content.settled {
            let account = AccountNumber(account);
            content.accounts.get(account.0 as usize)?;
            for (hour, nanos) in hours {
                let bucket = Bucket { hour, account, purpose };
                book.settled.add(bucket, Amount::from_nanos(nanos));
            }
        }
        for (account, told) in content.told {
            content.accounts.get(account as usize)?;
            book.told.insert(AccountNumber(account), told);
        }
        for open in content.open {
            book.accounts.number(&open.reservation.account)?;
            open.check().ok()?;
            book.open.insert(open.reservation.intent, open);
        }
        book.set_caps(content.caps);
        Some(book)
    }
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line =
        serde_json::to_vec(value).expect("our types have text keys and no failing serializers");
    line.push(b'\n');
    line
}
