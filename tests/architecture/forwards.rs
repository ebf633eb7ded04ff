//! A provider that stands before another forwards every call: what it leaves to a default of the contract is
//! answered by nobody.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The methods of the two traits of the contract, by trait.
pub(crate) struct Contract {
    observe: BTreeSet<String>,
    act: BTreeSet<String>,
}

impl Contract {
    /// From the text of the contract.
    pub(crate) fn parse(text: &str) -> Self {
        let methods = |wanted: &str| -> BTreeSet<String> {
            let file = syn::parse_file(text).unwrap();
            let traits = file.items.iter().filter_map(|item| match item {
                syn::Item::Trait(item) if item.ident == wanted => Some(item),
                _ => None,
            });
            let items = traits.flat_map(|found| &found.items);
            let names = items.filter_map(|item| match item {
                syn::TraitItem::Fn(method) => Some(method.sig.ident.to_string()),
                _ => None,
            });
            names.collect()
        };
        let contract = Self { observe: methods("Observe"), act: methods("Act") };
        assert!(contract.observe.contains("list") && contract.act.contains("create"));
        contract
    }

    /// What the providers of a file that stand before another leave out. Such a provider gives the other's
    /// capabilities as its own.
    pub(crate) fn left_out(&self, path: &str, text: &str) -> Vec<String> {
        // Most files have none, and need not be parsed.
        if !text.contains("Observe for ") && !text.contains("Act for ") {
            return Vec::new();
        }
        let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut impls = Impls::default();
        impls.visit_file(&file);
        let mut found = Vec::new();
        for (name, of, methods) in &impls.all {
            let wanted = match of.as_str() {
                "Observe" => &self.observe,
                "Act" => &self.act,
                _ => continue,
            };
            if impls.before_others.contains(name) {
                let missing = wanted.iter().filter(|method| !methods.contains(*method));
                found.extend(
                    missing.map(|method| format!("{path}: {name} does not forward {method}")),
                );
            }
        }
        found
    }
}

/// The implementations of traits in one file: type, trait, methods.
#[derive(Default)]
struct Impls {
    all: Vec<(String, String, BTreeSet<String>)>,
    /// Types whose `capabilities` are those of another.
    before_others: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Impls {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let (Some((_, of, _)), syn::Type::Path(to)) = (&item.trait_, &*item.self_ty) else {
            return;
        };
        let last = |path: &syn::Path| path.segments.last().map(|s| s.ident.to_string());
        let (Some(of), Some(name)) = (last(of), last(&to.path)) else { return };
        let mut methods = BTreeSet::new();
        for item in &item.items {
            let syn::ImplItem::Fn(method) = item else { continue };
            methods.insert(method.sig.ident.to_string());
            let mut asks = AsksForCapabilities(false);
            asks.visit_block(&method.block);
            if method.sig.ident == "capabilities" && asks.0 {
                self.before_others.insert(name.clone());
            }
        }
        self.all.push((name, of, methods));
        visit::visit_item_impl(self, item);
    }
}

struct AsksForCapabilities(bool);

impl<'ast> Visit<'ast> for AsksForCapabilities {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.0 |= call.method == "capabilities";
        visit::visit_expr_method_call(self, call);
    }
}

/// All sources below a folder, tests and benches too, with their paths.
pub(crate) fn texts(root: &Path) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "benches", "providers"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let below = path.strip_prefix(root).unwrap().display().to_string();
                texts.push((below, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    texts.sort();
    texts
}
