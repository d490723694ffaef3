"""The contract on the wire: servicers, and messages turned into values of the domain and back. Messages stop here."""
