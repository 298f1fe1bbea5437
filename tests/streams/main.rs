//! Streams end to end: the contract that every protocol passes, and what is told where they cannot go.
//!
//! The contract is written once, over a [`Wire`], and run for each protocol by [`contract!`]. Time is
//! paused, so that waits are exact and nothing sleeps.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod moved;
mod refused;
mod wire;

/// Runs the contract over a protocol, by its name.
macro_rules! contract {
    ($protocol:ident: $($family:ident { $($promise:ident,)* })*) => {
        mod $protocol {
            $($(
                #[tokio::test(start_paused = true)]
                async fn $promise() {
                    let wire = crate::wire::Wire::new(stringify!($protocol));
                    crate::contract::$family::$promise(wire).await;
                }
            )*)*
        }
    };
}

contract!(injvm:
    flow {
        messages_arrive_in_order_in_both_directions,
        a_slow_reader_holds_the_handler_back,
        a_slow_handler_holds_the_caller_back,
        a_caller_that_has_said_all_still_hears_the_rest,
        what_is_answered_may_depend_on_what_is_said_next,
        a_stream_may_be_empty_and_its_end_stays_its_end,
        ten_thousand_streams_run_at_once,
        a_message_past_the_limit_ends_its_stream,
        trailers_come_behind_the_last_message,
        what_a_caller_streams_is_made_as_the_caller_would_make_it,
    }
    ends {
        a_stream_that_is_dropped_ends_its_handler,
        a_call_that_is_dropped_before_its_first_message_ends_its_handler,
        a_handler_that_hears_no_more_tells_who_speaks,
        a_handler_that_answers_early_ends_what_is_said,
        an_error_comes_behind_the_messages_before_it,
        an_error_of_the_caller_reaches_the_handler,
        a_typed_error_instead_of_a_stream_arrives_as_the_same_value,
        a_handler_that_panics_in_mid_stream_fails_the_stream_alone,
        a_call_counts_until_its_stream_ends,
    }
    times {
        the_default_timeout_is_for_the_first_message_alone,
        a_timeout_of_the_call_ends_it_in_mid_stream,
        a_call_inside_a_handler_ends_with_the_handlers_deadline,
        a_drain_waits_for_streams_and_ends_the_others_as_unavailable,
        a_provider_that_is_dropped_ends_its_streams,
    }
    again {
        a_stream_that_fails_before_its_first_message_is_called_again,
        a_stream_that_fails_behind_its_first_message_is_not_called_again,
        a_call_whose_stream_was_read_is_not_sent_again,
        a_call_whose_stream_nobody_read_is_sent_again,
        a_stream_that_does_not_begin_is_asked_for_elsewhere_halfway,
        layers_see_a_streaming_call_as_any_other,
    }
);
