//! Looks at files on threads of their own: a dead file server lets a `stat` wait for minutes, and with it whatever
//! else the thread of the runtime has to do.

use syn::visit::{self, Visit};

/// Methods of paths that ask the filesystem, and of the watcher of folders.
const ASKING: &[&str] = &[
    "is_dir",
    "is_file",
    "is_symlink",
    "exists",
    "try_exists",
    "metadata",
    "symlink_metadata",
    "canonicalize",
    "read_dir",
];

/// Looks outside `spawn_blocking` in a file that runs on the runtime.
pub(crate) fn looks(path: &str, text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut looks = Looks { path, aside: 0, found: Vec::new() };
    looks.visit_file(&file);
    looks.found
}

struct Looks<'a> {
    path: &'a str,
    /// Within how many calls of `spawn_blocking`.
    aside: usize,
    found: Vec<String>,
}

impl Looks<'_> {
    fn look(&mut self, what: &str) {
        if self.aside == 0 {
            self.found.push(format!("{}: {what}", self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Looks<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|a| a.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let last = match &*call.func {
            syn::Expr::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        };
        let aside = usize::from(last.as_deref() == Some("spawn_blocking"));
        self.aside += aside;
        visit::visit_expr_call(self, call);
        self.aside -= aside;
    }
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if ASKING.iter().any(|method| call.method == method) {
            self.look(&format!("{}()", call.method));
        }
        visit::visit_expr_method_call(self, call);
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if words.starts_with(&["std".to_owned(), "fs".to_owned()]) {
            self.look(&words.join("::"));
        }
        visit::visit_path(self, path);
    }
}
