Extension: OriginalQuantity
Id: original-quantity
Title: "Original quantity"
Description: "The quantity as it was sent, where the one that holds this is the same in the trial's unit."
Context: Quantity
* insert OwnDefinition
* value[x] only Quantity
* value[x] 1..1
