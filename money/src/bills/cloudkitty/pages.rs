//! Files that are pages of one answer. CloudKitty gives 100 rows unless it is asked for more, and an operator may allow no
//! more; each page tells how many rows there are in all (`total`).

use std::collections::BTreeSet;

use super::Row;
use crate::bills::BillDamage;

/// The rows of all files, and the answer whose pages are not all here yet.
#[derive(Debug, Default)]
pub struct Pages {
    /// By what they say but their amounts.
    rows: BTreeSet<String>,
    open: Option<Open>,
}

/// An answer of which pages are missing.
#[derive(Debug)]
struct Open {
    total: u64,
    rows: u64,
    /// What to say if no more come.
    missing: BillDamage,
}

impl Pages {
    /// What is wrong when there are no more files.
    pub fn missing(self) -> Option<BillDamage> {
        self.open.map(|open| open.missing)
    }

    /// Takes a row. Rows of an answer differ in what they are grouped by, and in their time: one that is there again is of
    /// a page that was given twice, or of another answer about the same, and would be charged twice.
    pub(super) fn must_be_new(&mut self, row: &Row) -> Result<(), String> {
        let is_amount = |name: &str| matches!(name, "qty" | "rate");
        let kept: Vec<_> = row.iter().filter(|(name, _)| !is_amount(name)).collect();
        if self.rows.insert(format!("{kept:?}")) {
            return Ok(());
        }
        Err("the same row was there before: is a page given twice, or are there answers about several projects? Give each \
             page once, and have projects told apart (groupby=project_id)"
            .to_owned())
    }

    /// Takes a page with so many rows of so many in all.
    pub(super) fn add(
        &mut self,
        total: u64,
        rows: u64,
        damage: impl FnOnce(String) -> BillDamage,
    ) -> Result<(), BillDamage> {
        let before = match self.open.take() {
            None => 0,
            Some(open) if open.total == total => open.rows,
            Some(open) => {
                let what = format!(
                    "the page before is of an answer with {} rows, and this one of one with {total}: give all pages of an \
                     answer, one after the other, that were asked for one after the other",
                    open.total
                );
                return Err(damage(what));
            }
        };
        let rows = before + rows;
        if rows > total {
            let what = format!("the answer has {total} rows in all, and {rows} are here");
            return Err(damage(what));
        }
        if rows < total {
            let missing = damage(format!(
                "the summary has {total} rows and {rows} of them are here: ask for all (limit={total}), or give all pages \
                 (the next one has offset={rows})"
            ));
            self.open = Some(Open { total, rows, missing });
        }
        Ok(())
    }
}
