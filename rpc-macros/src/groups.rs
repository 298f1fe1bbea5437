//! Fragments that `macro_rules!` passes on stand in a group without delimiters; this removes the group.

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
