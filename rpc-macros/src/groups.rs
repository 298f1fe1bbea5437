//! What `macro_rules!` hands on: a fragment stands in a group without delimiters, which means nothing.

use syn::{Expr, Type};

/// The type itself.
pub(crate) fn ungrouped(mut ty: &Type) -> &Type {
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    ty
}

/// The expression itself.
pub(crate) fn ungrouped_expr(mut expr: &Expr) -> &Expr {
    while let Expr::Group(group) = expr {
        expr = &group.expr;
    }
    expr
}
