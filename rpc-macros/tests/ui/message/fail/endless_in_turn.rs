use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
struct Egg {
    laid_by: Box<Hen>,
}

#[message(crate = rpc_core)]
struct Hen {
    hatched_from: Egg,
}

#[message(crate = rpc_core)]
struct Page<T> {
    first: T,
}

#[message(crate = rpc_core)]
struct Book {
    pages: Page<Box<Sheet>>,
}

#[message(crate = rpc_core)]
enum Sheet {
    Of { book: Book },
    Loose,
}

fn main() {}
