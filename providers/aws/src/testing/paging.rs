//! Pages of a describe call.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::params::Params;
use super::reply::Refusal;

/// What a describe call pages over.
pub(crate) struct Pages<'a> {
    params: &'a Params,
    /// Sizes that may be asked for.
    sizes: RangeInclusive<u64>,
    /// Size when none is asked for; `None`: all on one page.
    usual: Option<usize>,
}

/// A page, and the token of the next.
pub(crate) type Page<T> = (Vec<T>, Option<String>);

impl<'a> Pages<'a> {
    /// Pages of 5 to 1,000 that must be asked for.
    pub(crate) fn asked(params: &'a Params) -> Self {
        Self { params, sizes: 5..=1000, usual: None }
    }

    /// Pages of 5 to 100, also when none are asked for.
    pub(crate) fn always(params: &'a Params) -> Self {
        Self { params, sizes: 5..=100, usual: Some(100) }
    }

    /// The page that was asked for, of all items in the order of their keys. `ids`: the parameter with which single
    /// resources are named; the two exclude each other.
    pub(crate) fn cut<T>(
        &self,
        mut items: Vec<T>,
        ids: &str,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Refusal> {
        let size = self.size(ids)?;
        if let Some(token) = self.params.get("NextToken") {
            let bad = || Refusal::bad("Unable to parse pagination token");
            let bytes = BASE64.decode(token).map_err(|_| bad())?;
            let text = String::from_utf8(bytes).map_err(|_| bad())?;
            let after = text.strip_prefix("after:").ok_or_else(bad)?;
            items.retain(|item| key(item).as_str() > after);
        }
        let mut next = None;
        if let Some(size) = size
            && items.len() > size
        {
            items.truncate(size);
            next = items.last().map(|last| BASE64.encode(format!("after:{}", key(last))));
        }
        Ok((items, next))
    }

    fn size(&self, ids: &str) -> Result<Option<usize>, Refusal> {
        let Some(size) = self.params.number("MaxResults")? else { return Ok(self.usual) };
        if !self.params.list(ids).is_empty() {
            let message =
                format!("The parameter {ids} cannot be used with the parameter maxResults");
            return Err(Refusal::combination(message));
        }
        let (least, most) = (self.sizes.start(), self.sizes.end());
        if !self.sizes.contains(&size) {
            let message = format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value between \
                 {least} and {most}."
            );
            return Err(Refusal::bad(message));
        }
        Ok(usize::try_from(size).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&str, &str)]) -> Result<Page<u32>, Refusal> {
        let params = Params::of(pairs);
        Pages::asked(&params).cut((0..12).collect(), "Id", |item| format!("{item:04}"))
    }

    #[test]
    fn every_item_is_on_one_page() {
        let (first, token) = page(&[("MaxResults", "5")]).unwrap();
        let token = token.unwrap();
        let (second, token) = page(&[("MaxResults", "5"), ("NextToken", &token)]).unwrap();
        let (third, end) = page(&[("MaxResults", "5"), ("NextToken", &token.unwrap())]).unwrap();
        assert_eq!([first, second, third].concat(), (0..12).collect::<Vec<_>>());
        assert_eq!(end, None);
        assert_eq!(page(&[]).unwrap().0.len(), 12, "nobody asked for pages");
    }

    #[test]
    fn bad_sizes_and_tokens_are_refused() {
        for bad in [("MaxResults", "4"), ("MaxResults", "1001"), ("NextToken", "nonsense")] {
            assert_eq!(page(&[bad]).unwrap_err().code, "InvalidParameterValue", "{bad:?}");
        }
        let both = page(&[("MaxResults", "5"), ("Id.1", "x")]);
        assert_eq!(both.unwrap_err().code, "InvalidParameterCombination");
    }
}
