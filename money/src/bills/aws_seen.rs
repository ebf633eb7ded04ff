//! Lines of AWS that are there twice, of a part of an export that is also within another file: each would be charged twice. Two
//! versions of one export are not known by this: each gives its lines other identities
//! (<https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-identity.html>).

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use super::BillDamage;
use super::csv::Field;

/// The lines of ours of all files of a bill, by their hashes: of ten million they are 150 MB, and one in some hundred thousand
/// such bills has two lines of one hash, and is refused.
#[derive(Debug, Clone, Default)]
pub struct Seen(Rc<RefCell<HashSet<u64>>>);

impl Seen {
    /// Takes a line. `identity`: the column of `identity_line_item_id`, without which two lines may look the same. It differs
    /// within a part of an export only, so all columns are compared.
    pub(super) fn must_be_new(
        &self,
        fields: &[Field],
        identity: Option<usize>,
    ) -> Result<(), BillDamage> {
        let Some(identity) = identity.map(|column| &fields[column]) else { return Ok(()) };
        if identity.text.trim().is_empty() {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        fields.iter().for_each(|field| field.text.hash(&mut hasher));
        if self.0.borrow_mut().insert(hasher.finish()) {
            return Ok(());
        }
        let what = format!(
            "the line {} was there before, the same in all its columns, and would be booked twice: is a part of the export \
             given twice? Give each once",
            identity.text
        );
        Err(identity.damage(what))
    }
}
