//! The `Default` of messages.
//!
//! Where a program has one, too, rustc speaks of conflicting implementations. No attribute can know of
//! it, and none can add to what rustc says, but that the name of the macro stands there which the error
//! "originates in".

/// `Default` by a generated body, for a type with its parameters and clause.
#[doc(hidden)]
#[macro_export]
macro_rules! derive_default_below_the_attribute_or_say_own_default_in_it {
    ([$($params:tt)*] [$($ty:tt)*] [$($clause:tt)*] $body:expr) => {
        #[automatically_derived]
        impl $($params)* ::core::default::Default for $($ty)* $($clause)* {
            fn default() -> Self {
                $body
            }
        }
    };
}
