Extension: ReplacesMessage
Id: replaces-message
Title: "Replaces message"
Description: "The id (MessageHeader.id) of the message of the same sender that this one stands in for, or takes back."
Context: MessageHeader
* insert OwnDefinition
* value[x] only id
* value[x] 1..1
