//! A parsed source file: its paths, method calls, string literals and async parts.

use std::path::Path;

use syn::visit::{self, Visit};

/// What a rule can see of a file. Items under `#[cfg(test)]` are left out.
pub(crate) struct SourceFile {
    /// Path below `src/`, with `/`.
    pub(crate) path: String,
    /// Lines before the first `#[cfg(test)]`.
    pub(crate) production_lines: usize,
    /// Every path and import, written out: `crate::model::Phase`.
    pub(crate) paths: Vec<String>,
    /// Method calls as `receiver.method`, the receiver's last word.
    pub(crate) calls: Vec<(String, String)>,
    /// String literals.
    pub(crate) texts: Vec<String>,
    /// `async` functions, blocks and `.await`s.
    pub(crate) asyncs: usize,
    /// Hash maps and sets that do not name their hasher, and imports that rename them: their order
    /// is random.
    pub(crate) random_hashes: Vec<String>,
}

impl SourceFile {
    /// Parses all `.rs` files below a folder.
    pub(crate) fn read_all(root: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let below = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    files.push(Self::parse(&below, &std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Parses one file.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let production_lines =
            text.lines().position(|l| l.trim() == "#[cfg(test)]").unwrap_or(text.lines().count());
        let mut seen = Self {
            path: path.to_owned(),
            production_lines,
            paths: Vec::new(),
            calls: Vec::new(),
            texts: Vec::new(),
            asyncs: 0,
            random_hashes: Vec::new(),
        };
        seen.visit_file(&file);
        let paths = std::mem::take(&mut seen.paths);
        seen.paths = paths.into_iter().map(|path| seen.absolute(path)).collect();
        seen
    }

    /// The top module: `plan` for `plan/x.rs`, `cycle` for `cycle.rs`.
    pub(crate) fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// A path as seen from the crate's root: `super::super::x` in `model/a.rs` is `crate::x`.
    fn absolute(&self, path: String) -> String {
        let mut here: Vec<&str> = self.path.trim_end_matches(".rs").split('/').collect();
        if matches!(here.last(), Some(&("mod" | "lib" | "main"))) {
            here.pop();
        }
        let mut rest = path.as_str();
        while let Some(above) = rest.strip_prefix("super::") {
            here.pop();
            rest = above;
        }
        if rest.len() == path.len() {
            return path;
        }
        let here: String = here.iter().map(|word| format!("{word}::")).collect();
        format!("crate::{here}{rest}")
    }

    fn take_tree(&mut self, before: &str, tree: &syn::UseTree) {
        let with = |name: &str| {
            if before.is_empty() { name.to_owned() } else { format!("{before}::{name}") }
        };
        match tree {
            syn::UseTree::Path(path) => self.take_tree(&with(&path.ident.to_string()), &path.tree),
            syn::UseTree::Name(name) => self.paths.push(with(&name.ident.to_string())),
            syn::UseTree::Rename(name) => {
                if hashed(&name.ident).is_some() {
                    self.random_hashes.push(format!("{} as {}", name.ident, name.rename));
                }
                self.paths.push(with(&name.ident.to_string()));
            }
            syn::UseTree::Glob(_) => self.paths.push(with("*")),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_tree(before, tree);
                }
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg")
            && matches!(&a.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

/// How many parameters a hash map or set has when its hasher is named.
fn hashed(name: &syn::Ident) -> Option<usize> {
    match name.to_string().as_str() {
        "HashMap" => Some(3),
        "HashSet" => Some(2),
        _ => None,
    }
}

fn has_random_hasher(segment: &syn::PathSegment) -> bool {
    let Some(needed) = hashed(&segment.ident) else { return false };
    match &segment.arguments {
        syn::PathArguments::AngleBracketed(given) => given.args.len() < needed,
        _ => true,
    }
}

fn last_word(receiver: &syn::Expr) -> String {
    match receiver {
        syn::Expr::Path(path) => {
            path.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default()
        }
        syn::Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => name.to_string(),
            syn::Member::Unnamed(index) => index.index.to_string(),
        },
        syn::Expr::MethodCall(call) => call.method.to_string(),
        syn::Expr::Reference(reference) => last_word(&reference.expr),
        syn::Expr::Await(awaited) => last_word(&awaited.base),
        syn::Expr::Try(tried) => last_word(&tried.expr),
        _ => String::new(),
    }
}

impl<'ast> Visit<'ast> for SourceFile {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take_tree("", &item.tree);
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let random = path.segments.iter().filter(|segment| has_random_hasher(segment));
        self.random_hashes.extend(random.map(|segment| segment.ident.to_string()));
        self.paths.push(words.join("::"));
        visit::visit_path(self, path);
    }
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.calls.push((last_word(&call.receiver), call.method.to_string()));
        visit::visit_expr_method_call(self, call);
    }
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.texts.push(text.value());
    }
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.asyncs += usize::from(signature.asyncness.is_some());
        visit::visit_signature(self, signature);
    }
    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.asyncs += 1;
        visit::visit_expr_async(self, block);
    }
}
