"""Long-form speech without text: tokens continued for as long as is wanted, rendered as they come."""
